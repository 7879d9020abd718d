"""What is in a picture: from weights to boxes in the pixels of the source frame.

===============================  ====================================================================
`app.detection.detector`         what the inference stage asks, and who answers: `open_detector`
`app.detection.choice`           who runs the model here, and why (decides; loads nothing)
`app.detection.installed`        which libraries and GPUs are here
`app.detection.processor`        what the processor can do
`app.detection.frames`           from tasks to results: decode, ask the model, scale to the source
`app.detection.graph`            the model on OpenVINO
`app.detection.fallback`         Ultralytics' own predict: GPUs, and what OpenVINO cannot run
`app.detection.boxes`            the arithmetic of boxes, pure numpy
`app.detection.comparison`       how two models differ on the same pictures, in boxes and in time
`app.detection.wanted`           what a video's options ask of the model that is here
`app.detection.pictures`         JPEGs to pixels, pixels to the model's canvas
`app.detection.weights`          which weights, and whether they look like weights
`app.detection.export`           the graphs of a weights file, each made once
`app.detection.manifest`         which weights and which bytes an export has
`app.detection.facts`            what is known of a model, and what the processes below answer
`app.detection.child`            runs what needs torch or NNCF in a process of its own
`app.detection.checkpoint`       loads, exports, fetches and scores (the only module that imports torch)
`app.detection.quantization`     makes an INT8 graph (the only module that imports NNCF)
`app.detection.process`          one OpenCV thread, and a heap that is kept
===============================  ====================================================================
"""
