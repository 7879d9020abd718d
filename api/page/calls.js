// Calls of the API: addresses, JSON, and errors as sentences in the reader's language.
import { currentLanguage, isPhrase, say } from "./words.js";

/** The folder that the page is served from, so that it works below a prefix, too. */
const ROOT = new URL("./", document.baseURI);

/** What is done when the API wants a key: resolves when there is one. @type {() => Promise<void>} */
let askForKey = () => Promise.reject(new Error("nobody asks for keys"));

/** An answer that is an error (RFC 9457), or none at all. */
export class Problem extends Error {
  /**
   * @param {number} status - 0 where there was no answer.
   * @param {{code?: string, detail?: string, errors?: {field: string, message: string}[], video_status?: string,
   *   reason?: string}} body
   * @param {number | null} retryAfter - seconds.
   */
  constructor(status, body, retryAfter = null) {
    super(body.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = body.code ?? (status ? "unexpected" : "unreachable");
    this.errors = body.errors ?? [];
    this.retryAfter = retryAfter;
  }

  /** What went wrong, in plain words of the page's language. */
  get sentence() {
    return sentenceOf(this.code, this.message);
  }
}

/**
 * Return an error in plain words: ours where there are some, else what the API says.
 * @param {string} code - of a problem, or of why a video failed.
 * @param {string} given - the API's sentence, which is English.
 * @returns {string}
 */
export function sentenceOf(code, given) {
  const key = `error.${code}`;
  return isPhrase(key) ? say(key, { given }) : given;
}

/**
 * Return the address of a call, such as `api/v1/videos`.
 * @param {string} path - without a slash before it.
 * @param {Record<string, any>} [query] - null, undefined and "" are left out; of a list each item is given.
 * @returns {string}
 */
export function address(path, query = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") url.searchParams.append(name, String(each));
    }
  }
  return url.href;
}

/**
 * Ask for JSON.
 * @param {string} path
 * @param {{query?: Record<string, any>, signal?: AbortSignal}} [how]
 * @returns {Promise<any>}
 * @throws {Problem}
 */
export async function get(path, { query, signal } = {}) {
  return (await ask(path, { query, signal })).json();
}

/**
 * Have something done.
 * @param {"POST" | "DELETE"} method
 * @param {string} path
 * @param {{query?: Record<string, any>, body?: any, headers?: Record<string, string>, signal?: AbortSignal}} [how]
 * @returns {Promise<any>} the JSON of the answer; null where it has none.
 * @throws {Problem}
 */
export async function act(method, path, how = {}) {
  const answer = await ask(path, { ...how, method });
  return answer.status === 204 ? null : answer.json();
}

/**
 * Ask, and return the answer whatever it holds.
 * @param {string} path
 * @param {any} [how] - as `fetch` takes it; `query` beside, and `body`, which is sent as JSON.
 * @returns {Promise<Response>}
 * @throws {Problem}
 */
export async function ask(path, { query, body, headers, isSignIn = false, ...rest } = {}) {
  for (;;) {
    const answer = await sent(address(path, query), {
      ...rest,
      headers: {
        "Accept-Language": currentLanguage(),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (answer.ok) return answer;
    if (answer.status !== 401 || isSignIn) throw await problemOf(answer);
    await askForKey();
  }
}

/**
 * Say who asks for a key when the API wants one.
 * @param {() => Promise<void>} asker
 */
export function onKeyNeeded(asker) {
  askForKey = asker;
}

/** Ask for a key, as a call does that is refused for want of one. */
export function keyNeeded() {
  return askForKey();
}

/**
 * @param {string} url
 * @param {RequestInit} how
 */
async function sent(url, how) {
  try {
    return await fetch(url, { credentials: "same-origin", ...how });
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    throw new Problem(0, { code: "unreachable" });
  }
}

/**
 * @param {Response} answer
 * @returns {Promise<Problem>}
 */
async function problemOf(answer) {
  const retryAfter = Number(answer.headers.get("Retry-After")) || null;
  try {
    return new Problem(answer.status, await answer.json(), retryAfter);
  } catch {
    return new Problem(answer.status, {}, retryAfter);
  }
}
