/**
 * Reads the literal parts of a tagged template as markup, once for each place in the source.
 *
 * Knows no DOM. Stays true: what stands in holes is never read as markup; text is text, without entities.
 *
 * @module
 */

/**
 * @typedef {{kind: 'text', text: string}} TextNode
 * @typedef {{kind: 'hole', hole: number}} HoleNode
 * @typedef {{kind: 'element', tag: string, attributes: Attribute[], children: TemplateNode[]}} ElementNode
 * @typedef {TextNode | HoleNode | ElementNode} TemplateNode
 */

/**
 * `parts` are texts and numbers of holes in turn: `class="a ${b}"` is `['a ', 0]`.
 *
 * @typedef {{name: string, parts: (string | number)[]}} Attribute
 */

const VOID = new Set(['area', 'br', 'col', 'hr', 'img', 'input', 'link', 'meta', 'source', 'wbr']);
const NAME_END = /[\s=/>]/;
const BLANK = /\s/;

/** One walk over the strings of a template. */
class Reader {
  /** @param {readonly string[]} strings */
  constructor(strings) {
    this.strings = strings;
    this.part = 0;
    this.at = 0;
  }

  /** @returns {string} The next character; empty at a hole and at the end. */
  peek() {
    return this.strings[this.part][this.at] ?? '';
  }

  /** @returns {boolean} */
  isAtHole() {
    return this.peek() === '' && this.part < this.strings.length - 1;
  }

  /** @returns {number} The hole that was stepped over. */
  takeHole() {
    this.part += 1;
    this.at = 0;
    return this.part - 1;
  }

  /**
   * @param {(character: string) => boolean} ends
   * @returns {string} All up to there, or to the next hole.
   */
  until(ends) {
    const text = this.strings[this.part];
    const from = this.at;
    while (this.at < text.length && !ends(text[this.at])) this.at += 1;
    return text.slice(from, this.at);
  }

  skipBlanks() {
    this.until((character) => !BLANK.test(character));
  }

  /** @param {string} text */
  expect(text) {
    if (!this.strings[this.part].startsWith(text, this.at)) this.fail(`expected ${text}`);
    this.at += text.length;
  }

  /**
   * @param {string} what
   * @returns {never}
   */
  fail(what) {
    const near = this.strings[this.part].slice(Math.max(0, this.at - 30), this.at + 30);
    throw new SyntaxError(`template: ${what} near "${near.trim()}"`);
  }
}

/**
 * @param {readonly string[]} strings What a tag function is given.
 * @returns {TemplateNode[]}
 */
export function parse(strings) {
  const reader = new Reader(strings);
  const nodes = children(reader, null);
  return nodes;
}

/**
 * @param {Reader} reader
 * @param {string | null} parent The element that is open.
 * @returns {TemplateNode[]}
 */
function children(reader, parent) {
  /** @type {TemplateNode[]} */
  const nodes = [];
  for (;;) {
    if (reader.isAtHole()) {
      nodes.push({kind: 'hole', hole: reader.takeHole()});
    } else if (reader.peek() === '') {
      if (parent !== null) reader.fail(`<${parent}> is not closed`);
      return nodes;
    } else if (reader.peek() !== '<') {
      const text = collapsed(reader.until((character) => character === '<'));
      if (text !== '') nodes.push({kind: 'text', text});
    } else {
      reader.expect('<');
      if (reader.peek() === '/') {
        reader.expect(`/${parent ?? ''}>`);
        return nodes;
      }
      nodes.push(element(reader));
    }
  }
}

/**
 * Lines of source are no lines of text: blanks around a break of lines go with it.
 *
 * @param {string} text
 * @returns {string}
 */
function collapsed(text) {
  if (!text.includes('\n')) return text;
  const lines = text.split('\n');
  const kept = lines.map((line, n) => {
    const from = n === 0 ? line : line.trimStart();
    return n === lines.length - 1 ? from : from.trimEnd();
  });
  return kept.filter((line) => line !== '').join(' ');
}

/**
 * @param {Reader} reader
 * @returns {ElementNode}
 */
function element(reader) {
  const tag = reader.until((character) => NAME_END.test(character));
  if (!/^[a-zA-Z][\w-]*$/.test(tag)) reader.fail(`no name of an element: "${tag}"`);
  /** @type {Attribute[]} */
  const attributes = [];
  for (;;) {
    reader.skipBlanks();
    if (reader.peek() === '>') {
      reader.expect('>');
      const isEmpty = VOID.has(tag);
      return {kind: 'element', tag, attributes, children: isEmpty ? [] : children(reader, tag)};
    }
    if (reader.peek() === '/') {
      reader.expect('/>');
      return {kind: 'element', tag, attributes, children: []};
    }
    if (reader.peek() === '') reader.fail(`<${tag}> is not closed`);
    attributes.push(attribute(reader));
  }
}

/**
 * @param {Reader} reader
 * @returns {Attribute}
 */
function attribute(reader) {
  const name = reader.until((character) => NAME_END.test(character));
  if (name === '') reader.fail('an attribute has no name');
  if (name === 'style') reader.fail('the page allows no style in markup: use css=${{…}} or a class');
  if (reader.peek() !== '=') return {name, parts: ['']};
  reader.expect('=');
  const quote = reader.peek();
  if (quote === '"' || quote === "'") {
    reader.expect(quote);
    return {name, parts: quoted(reader, quote)};
  }
  if (reader.isAtHole()) return {name, parts: [reader.takeHole()]};
  return {name, parts: [reader.until((character) => /[\s>]/.test(character))]};
}

/**
 * @param {Reader} reader
 * @param {string} quote
 * @returns {(string | number)[]}
 */
function quoted(reader, quote) {
  /** @type {(string | number)[]} */
  const parts = [];
  for (;;) {
    const text = reader.until((character) => character === quote);
    if (text !== '') parts.push(text);
    if (reader.isAtHole()) {
      parts.push(reader.takeHole());
    } else {
      reader.expect(quote);
      return parts.length === 0 ? [''] : parts;
    }
  }
}
