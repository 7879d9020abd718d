"""What is in a picture: from weights to boxes in the pixels of the source frame.

===============================  ====================================================================
`app.detection.detector`         what the inference stage asks, and who answers: `open_detector`
`app.detection.frames`           from tasks to results: decode, ask the model, scale to the source
`app.detection.graph`            the model on OpenVINO (the only module that imports it)
`app.detection.fallback`         Ultralytics' own predict: GPUs, and what OpenVINO cannot run
`app.detection.boxes`            the arithmetic of boxes, pure numpy
`app.detection.pictures`         JPEGs to pixels, pixels to the model's canvas
`app.detection.weights`          which weights, and whether they look like weights
`app.detection.export`           the graph of a weights file, made once
`app.detection.child`            runs the two jobs that need torch in a process of their own
`app.detection.checkpoint`       loads, exports and fetches (the only module that imports torch)
`app.detection.process`          one OpenCV thread, and a heap that is kept
===============================  ====================================================================
"""
