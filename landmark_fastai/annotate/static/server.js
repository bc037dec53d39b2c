/** Questions to the server, which answers in JSON or pixels. */

/** What the server has refused, in its words. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
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
