// The video element, and which moment of the video its picture shows.

/** Pictures per second that are assumed where nobody says: only for stepping. */
const USUAL_RATE = 25;

/** Seconds behind a frame's own time at which it is asked for, so that rounding never gives the one before. */
const INTO_FRAME = 0.0004;

/** How often stepping asks for a later moment until another frame comes: long frames are rare. */
const STEPS = 8;

/** Milliseconds after a jump until which its picture may be told of; then it is the same as before: a long frame. */
const SAME_AFTER = 250;

/** Milliseconds after which a jump is made though no picture was shown yet: some phones show none before that. */
const UNSEEN_AFTER = 1500;

/** Chromium, Safari and Firefox from 132 on say of each picture when it is to be seen. */
const TELLS_FRAMES = "requestVideoFrameCallback" in HTMLVideoElement.prototype;

/**
 * Plays one video, and tells (`picture`) each time another picture is shown.
 *
 * `time` is that of the picture in seconds from the container's first timestamp, as in results; a browser's own time
 * begins elsewhere where the first timestamp is not 0, and `align` finds out how much lies between the two.
 */
export class Player extends EventTarget {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    super();
    this.video = video;
    /** Seconds by which the browser's time is ahead of the results'. */
    this.offset = 0;
    /** The browser's time of the picture; null as long as there is none. @type {number | null} */
    this.shown = null;
    this.rate = USUAL_RATE;
    /** The browser's time of the very first picture. @type {number | null} */
    this._first = null;
    /** The result's time of the same. @type {number | null} */
    this._firstTime = null;
    /** Where to go when the current jump is done. @type {number | null} */
    this._next = null;
    /** Where the last jump led, in the time of results. @type {number | null} */
    this._wanted = null;
    this._hasJumped = false;
    /** Plays when the first picture was shown. */
    this._isAboutToPlay = false;
    /** Counts where the player was told to go, so that whoever steps on finds out that it is no longer wanted. */
    this._orders = 0;
    this._leaving = new AbortController();
    this._listen();
  }

  /** Seconds of the picture, in the time of results. */
  get time() {
    return (this.shown ?? this.video.currentTime) - this.offset;
  }

  /**
   * Seconds where the player goes or is. Where it stands that is the moment that was asked for: of frames that follow
   * each other unevenly a browser may show the one before.
   */
  get target() {
    return this._next ?? (this.video.paused ? (this._wanted ?? this.time) : this.time);
  }

  /** Seconds of the whole video, as far as the browser knows. */
  get duration() {
    return Number.isFinite(this.video.duration) ? this.video.duration - this.offset : 0;
  }

  /**
   * Play another file of the same video, from where it is.
   * @param {string} address
   */
  load(address) {
    if (this.shown !== null) this._next ??= this.target;
    this.shown = this._first = null;
    this._hasJumped = this._isAboutToPlay = false;
    this.video.src = address;
    this.video.load();
  }

  /**
   * Say when the first picture of the file is, according to the result.
   * @param {number} seconds
   */
  align(seconds) {
    this._firstTime = seconds;
    this._align();
  }

  /**
   * Go to a moment; of several jumps in a hurry only the last is made.
   * @param {number} seconds - in the time of results.
   */
  seek(seconds) {
    this._orders += 1;
    this._go(seconds);
  }

  /** @param {number} seconds - in the time of results. */
  _go(seconds) {
    const end = this.duration || seconds;
    this._next = Math.max(0, Math.min(seconds, end));
    if (this._first !== null && !this.video.seeking) this._jump();
    else if (this._first === null) setTimeout(() => this._jumpUnseen(), UNSEEN_AFTER);
  }

  /**
   * Show a frame whose time is known.
   * @param {number} seconds
   */
  seekFrame(seconds) {
    this.seek(seconds + INTO_FRAME);
  }

  /**
   * Show the next picture, or the one before.
   * @param {1 | -1} direction
   */
  async step(direction) {
    this._isAboutToPlay = false;
    this.video.pause();
    const start = this.shown ?? this.video.currentTime;
    if (direction < 0) {
      this.seek(start - this.offset - 2 * INTO_FRAME);
      return;
    }
    this._orders += 1;
    const order = this._orders;
    let ahead = 1 / this.rate;
    for (let tries = 0; tries < STEPS; tries++, ahead += 1 / this.rate) {
      this._go(start - this.offset + ahead + INTO_FRAME);
      const shown = await this._settled(start);
      if (shown !== start || this.video.ended || this._orders !== order) return;
    }
  }

  /** Play or stand still. Nothing plays before the first picture was told of: it says where the browser's time begins. */
  toggle() {
    if (!this.video.paused) this.video.pause();
    else if (this._isAboutToPlay) this._isAboutToPlay = false;
    else if (this._first === null && TELLS_FRAMES) {
      this._isAboutToPlay = true;
      setTimeout(() => this._playSoon(), UNSEEN_AFTER);
    } else this._play();
  }

  _playSoon() {
    if (this._isAboutToPlay && !this._leaving.signal.aborted) this._play();
  }

  _play() {
    this._isAboutToPlay = false;
    this.video.play().catch(() => {});
  }

  close() {
    this._leaving.abort();
    this.video.removeAttribute("src");
    this.video.load();
  }

  _listen() {
    const { signal } = this._leaving;
    this.video.addEventListener("seeked", () => this._next !== null && this._jump(), { signal });
    this.video.addEventListener("play", () => this._begin(), { signal });
    if (TELLS_FRAMES) {
      this._awaitPicture();
      return;
    }
    for (const event of ["loadeddata", "seeked", "pause", "timeupdate"]) {
      this.video.addEventListener(event, () => this._see(this.video.currentTime), { signal });
    }
    this.video.addEventListener("playing", () => this._look(), { signal });
  }

  _begin() {
    this._orders += 1;
    this._wanted = null;
  }

  _awaitPicture() {
    this.video.requestVideoFrameCallback((_now, { mediaTime }) => {
      if (this._leaving.signal.aborted) return;
      this._awaitPicture();
      this._see(mediaTime);
    });
  }

  _look() {
    if (this.video.paused || this._leaving.signal.aborted) return;
    this._see(this.video.currentTime);
    requestAnimationFrame(() => this._look());
  }

  /** @param {number} mediaTime */
  _see(mediaTime) {
    this.shown = mediaTime;
    if (this._first === null) {
      this._first = mediaTime;
      this._align();
      if (this._next !== null) this._jump();
      this._playSoon();
    }
    this.dispatchEvent(new Event("picture"));
  }

  _align() {
    if (this._first === null || this._firstTime === null || this._hasJumped) return;
    const offset = this._first - this._firstTime;
    if (offset === this.offset) return;
    this.offset = offset;
    if (this._wanted !== null && this.video.paused) this.seek(this._wanted);
    this.dispatchEvent(new Event("picture"));
  }

  _jump() {
    const seconds = /** @type {number} */ (this._next);
    this._next = null;
    this._wanted = seconds;
    this.video.currentTime = seconds + this.offset;
  }

  /** Where the very first picture was never seen, nobody can tell how the two times differ. */
  _jumpUnseen() {
    if (this._first !== null || this._next === null || this.video.readyState < 1 || document.hidden) return;
    this._hasJumped = true;
    this._jump();
  }

  /**
   * Wait for the picture that a jump leads to. It is told of after the jump itself, on a busy machine much later.
   * @param {number} start - the browser's time of the picture before.
   * @returns {Promise<number | null>} that of the one that is shown then, perhaps the same.
   */
  _settled(start) {
    return new Promise((resolve) => {
      const { signal } = this._leaving;
      const seeked = () => {
        const finish = () => {
          clearTimeout(timer);
          this.removeEventListener("picture", look);
          resolve(this.shown);
        };
        const look = () => this.shown !== start && finish();
        const timer = setTimeout(finish, SAME_AFTER);
        this.addEventListener("picture", look, { signal });
        look();
      };
      this.video.addEventListener("seeked", seeked, { once: true, signal });
    });
  }
}
