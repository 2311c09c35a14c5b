// What the customer wrote and the transcript does not show yet. It is kept in the browser, sent
// until the server has it, and sent again after a reload: the key makes a repetition harmless.

const LONGEST_WAIT_MS = 15_000;
// Of this tab alone: whatever its next conversation is, another tab takes nothing from here.
const HANDED_OVER = "dragoman.handed-over";

/** A key that nobody else makes up; `crypto.randomUUID` exists only on https. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Post JSON; resolves to the response, rejects where nothing answered. */
export function post(path, body) {
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
  });
}

/** The seconds that a response asks us to wait, in milliseconds. */
export function retryAfterMs(response) {
  return 1000 * (Number(response.headers.get("Retry-After")) || 2);
}

export class Outgoing {
  /** `told` is asked to show: sent(item), refused(item, response), delayed(response or null). */
  constructor(conversation, told) {
    this.prefix = `dragoman.${conversation}.`;
    this.told = told;
    // Whether the page before this one has sent us; true until the server is known to know us.
    this.isSuccessor = this.#takeOver();
    this.items = this.#restored();
    this.failures = 0;
    this.timer = 0;
    this.sending = false;
  }

  add(text) {
    const item = { key: newKey(), text, sent: false, at: Date.now() };
    this.items.push(item);
    this.#keep(item);
    return item;
  }

  /** Take out the item with this key: the transcript shows it now. */
  confirm(key) {
    const item = this.items.find((each) => each.key === key);
    if (item) this.#drop(item);
    return item;
  }

  /** Send what waits, one after another; after a failure again and again, ever more slowly. */
  async flush() {
    if (this.sending) return;
    clearTimeout(this.timer);
    this.sending = true;
    try {
      for (;;) {
        const item = this.items.find((each) => !each.sent);
        if (!item || !(await this.#send(item))) break;
      }
    } finally {
      this.sending = false;
    }
  }

  clear() {
    clearTimeout(this.timer);
    for (const item of [...this.items]) this.#drop(item);
  }

  /** Leave what is unsent to the next page of this tab; false if this browser keeps nothing. */
  handOver() {
    const unsent = this.items.filter((each) => !each.sent);
    try {
      sessionStorage.setItem(HANDED_OVER, JSON.stringify(unsent));
    } catch {
      return false;
    }
    for (const item of unsent) this.#drop(item);
    return true;
  }

  /** True if the next one may follow. */
  async #send(item) {
    let response = null;
    try {
      response = await post("/chat/messages", { key: item.key, text: item.text });
    } catch {
      return this.#later(null);
    }
    if (response.ok) {
      this.failures = 0;
      item.sent = true;
      if (this.items.includes(item)) this.#keep(item);
      this.told.sent(item, await response.json());
      return true;
    }
    if (response.status === 429 || response.status >= 500) return this.#later(response);
    // The next page brings a new cookie, and the message goes out under it.
    if (response.status !== 401) this.#drop(item);
    this.told.refused(item, response);
    return response.status !== 401;
  }

  #later(response) {
    this.failures += 1;
    const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.failures);
    this.timer = setTimeout(() => this.flush(), response ? retryAfterMs(response) : wait);
    this.told.delayed(response);
    return false;
  }

  #takeOver() {
    try {
      const left = sessionStorage.getItem(HANDED_OVER);
      for (const item of JSON.parse(left ?? "[]")) this.#keep(item);
      sessionStorage.removeItem(HANDED_OVER);
      return left !== null;
    } catch {
      return false;
    }
  }

  #restored() {
    try {
      return Object.keys(localStorage)
        .filter((name) => name.startsWith(this.prefix))
        .map((name) => JSON.parse(localStorage.getItem(name)))
        .sort((one, other) => one.at - other.at);
    } catch {
      return [];
    }
  }

  #keep(item) {
    try {
      localStorage.setItem(this.prefix + item.key, JSON.stringify(item));
    } catch {
      // Storage is full or forbidden: the message lives as long as the page does.
    }
  }

  #drop(item) {
    this.items = this.items.filter((each) => each !== item);
    try {
      localStorage.removeItem(this.prefix + item.key);
    } catch {
      // As above.
    }
  }
}
