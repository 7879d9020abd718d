// Uploading: what is dropped or chosen, what of it is sent, and how far it is.
import { announce } from "./announce.js";
import { filesOf, isVideo } from "./dropped.js";
import { element, one, write } from "./elements.js";
import { Queue } from "./queue.js";
import { may, onSignIn } from "./sign_in.js";
import { UploadOptions } from "./upload_options.js";
import { UploadRows } from "./upload_rows.js";
import { onLanguage, say } from "./words.js";

/** Names that are told of files which are left out. */
const NAMES_TOLD = 3;

/** The part of the page where videos come in. */
export class Uploads {
  /** @param {(video: any) => void} onVideo - called with each video that was uploaded. */
  constructor(onVideo) {
    this.options = new UploadOptions(one("#options"));
    this.note = one("#upload-note");
    this.queue = new Queue({
      onChange: () => this.rows.show(),
      onEnd: (upload) => this.ended(upload, onVideo),
    });
    this.rows = new UploadRows(one("#queue"), this.queue);
    this.uploaded = 0;
    this.listenToDrops();
    this.listenToPickers();
    onLanguage(() => this.rows.show());
    onSignIn(() => this.showRight());
  }

  showRight() {
    one("#drop").hidden = one("#options").hidden = !may("submit");
    one("#upload-cannot").hidden = may("submit"); // the note is kept: files may have been dropped before this is known
  }

  listenToPickers() {
    one("#choose-folder").hidden = !("webkitdirectory" in one("#folder")); // telephones have no folders
    for (const [button, picker] of [["#choose-files", "#files"], ["#choose-folder", "#folder"]]) {
      const input = one(picker);
      one(button).addEventListener("click", () => input.click());
      input.addEventListener("change", () => {
        this.take([...input.files]);
        input.value = ""; // the same file may be chosen again
      });
    }
  }

  listenToDrops() {
    const zone = one("#drop");
    const holdsFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
    const mark = (/** @type {boolean} */ isOver) => {
      zone.classList.toggle("over", isOver);
      write(one(".drop-title", zone), say(isOver ? "upload.release" : "upload.drop"));
    };
    // The whole page takes files: a browser opens what is dropped beside the zone, and the uploads are gone.
    addEventListener("dragover", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      mark(may("submit"));
    });
    addEventListener("dragleave", (event) => event.relatedTarget === null && mark(false));
    addEventListener("drop", (event) => {
      if (!holdsFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      mark(false);
      if (!may("submit")) return;
      const reading = filesOf(event.dataTransfer);
      this.tell(element("p", { class: "quiet small" }, `${say("upload.reading")}…`));
      const unread = () => this.tell(element("p", { class: "note bad" }, say("error.file_changed")));
      void reading.then((files) => this.take(files), unread);
    });
  }

  /**
   * Upload the videos among these files.
   * @param {File[]} files
   */
  take(files) {
    const seen = files.filter(({ name }) => !name.startsWith(".")); // what systems put beside files, `._clip.mp4` too
    const videos = seen.filter(isVideo);
    const others = seen.filter((file) => !isVideo(file));
    this.tell(null);
    if (others.length) this.tellSkipped(others);
    else if (!videos.length) this.tell(element("p", { class: "note" }, say("upload.nothing")));
    this.send(videos);
  }

  /** @param {File[]} files */
  send(files) {
    if (!files.length) return;
    const options = this.options.chosen();
    if (options) this.queue.add(files, options);
    this.rows.show();
  }

  /** @param {File[]} files */
  tellSkipped(files) {
    const some = files.slice(0, NAMES_TOLD).map(({ name }) => name).join(", ");
    const names = files.length > NAMES_TOLD ? say("upload.skipped.more", { names: some }) : some;
    const anyway = () => {
      this.tell(null);
      this.send(files);
    };
    this.tell(
      element(
        "div",
        { class: "note" },
        element("span", {}, say("upload.skipped", { count: files.length, names })),
        element("button", { type: "button", on: { click: anyway } }, say("upload.sendAnyway")),
      ),
    );
  }

  /** @param {Node | null} note */
  tell(note) {
    this.note.replaceChildren(...(note ? [note] : []));
  }

  /**
   * @param {import("./upload.js").Upload} upload
   * @param {(video: any) => void} onVideo
   */
  ended(upload, onVideo) {
    if (upload.state === "done") {
      this.uploaded += 1;
      onVideo(upload.video);
    } else if (upload.problem) {
      announce(say("upload.said.failed", { name: upload.file.name, reason: upload.problem.sentence }));
    }
    if (!this.queue.isBusy && this.uploaded) {
      announce(say("upload.said.done", { count: this.uploaded }));
      this.uploaded = 0;
    }
    this.rows.show();
  }
}
