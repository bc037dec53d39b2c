/** Questions to the server, which answers in JSON or pixels. */

/** What the server has refused, in its words. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether what was asked for is wrong, and stays so. */
  get isWrong() { return this.status === 400; }

  /** Whether the server has other films than this page. */
  get isStale() { return this.status === 409; }
}

/** The response to a request. Rejects with `Refused`, and with a TypeError where no server answers. */
export async function ask(path, options) {
  const response = await fetch(path, options);
  if (response.ok) return response;
  const text = await response.text();
  let message = text;
  try { message = JSON.parse(text).error; } catch { /* the guard answers in plain text */ }
  throw new Refused(message, response.status);
}

export async function askJson(path, options) { return (await ask(path, options)).json(); }
