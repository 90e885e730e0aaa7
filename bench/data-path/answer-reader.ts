/** Reads one HTTP/1.1 answer after the other from what a socket brings: its status, and how many bytes its body has. */
export class AnswerReader {
  #text = '';
  /** Of the answer at hand, once its head is there. */
  #head: { status: number; isLast: boolean; left: number | 'chunked' } | null = null;
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#text === '' && this.#head === null;
  }

  /** `latin1`, so that characters are bytes. Answers what is complete with it; null: nothing yet. */
  push(text: string): { status: number; bytes: number; isLast: boolean } | null {
    this.#text += text;
    if (this.#head === null && !this.#readHead()) return null;
    const head = this.#head!;
    if (!(head.left === 'chunked' ? this.#readChunks() : this.#readLength(head.left))) return null;
    const answer = { status: head.status, bytes: this.#bytes, isLast: head.isLast };
    this.#head = null;
    this.#bytes = 0;
    return answer;
  }

  #readHead(): boolean {
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = this.#text.slice(0, end + 2);
    this.#text = this.#text.slice(end + 4);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    const isLast = /\r\nconnection: *close/i.test(head);
    this.#head = { status: Number(head.slice(9, 12)), isLast, left: length === undefined ? 'chunked' : Number(length) };
    return true;
  }

  #readLength(length: number): boolean {
    if (this.#text.length < length) return false;
    this.#bytes = length;
    this.#text = this.#text.slice(length);
    return true;
  }

  #readChunks(): boolean {
    for (;;) {
      const end = this.#text.indexOf('\r\n');
      if (end < 0) return false;
      const size = Number.parseInt(this.#text.slice(0, end), 16);
      if (this.#text.length < end + 2 + size + 2) return false;
      this.#text = this.#text.slice(end + 2 + size + 2);
      this.#bytes += size;
      if (size === 0) return true;
    }
  }
}
