// Files that are dropped, also whole folders, and which of them are videos.

/** What videos are called where the browser does not know their type. */
const VIDEO_NAMES = /\.(3g2|3gp|asf|avi|f4v|flv|m2ts|m4v|mkv|mov|mp4|mpe?g|mts|mxf|ogv|ts|vob|webm|wmv)$/i;

/**
 * Whether a file is a video, as far as its type and its name tell.
 * @param {File} file
 */
export function isVideo(file) {
  return file.type.startsWith("video/") || VIDEO_NAMES.test(file.name);
}

/**
 * Return what was dropped. Must be called while the event is being handled: later the browser has forgotten it.
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>} files of folders too, however deep, in the order of their paths.
 */
export async function filesOf(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = await Promise.all(entries.map((entry) => (entry instanceof File ? [entry] : filesBelow(entry))));
  return found.flat();
}

/**
 * @param {any} entry - a FileSystemEntry, or null.
 * @returns {Promise<File[]>}
 */
async function filesBelow(entry) {
  if (entry?.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  if (!entry?.isDirectory) return [];
  const found = [];
  for (const child of await childrenOf(entry)) found.push(...(await filesBelow(child)));
  return found;
}

/**
 * @param {any} folder - a FileSystemDirectoryEntry.
 * @returns {Promise<any[]>}
 */
async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  for (;;) {
    // A browser gives some at a time, and none at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return children.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    children.push(...some);
  }
}
