// Elements without a framework.

/** An element with properties (on... are listeners, the rest attributes) and children. */
export function h(tag, props = {}, ...children) {
  const svg = tag === 'svg' || tag === 'path' || tag === 'g' || tag === 'line' || tag === 'circle';
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) e.addEventListener(key.slice(2), value);
    else if (key === 'value' && tag !== 'option') e.value = value;
    else if (value === true) e.setAttribute(key, '');
    else e.setAttribute(key, value);
  }
  e.append(...children.flat().filter(c => c !== undefined && c !== null && c !== false));
  return e;
}

const PATHS = {
  make: 'M12 3v4M12 17v4M3 12h4M17 12h4M6 6l2.500 2.500M15.500 15.500 18 18M18 6l-2.500 2.500M8.500 15.500 6 18',
  gallery: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  chat: 'M4 5h16v11H10l-4 4v-4H4z',
  search: 'M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM16.500 16.500 21 21',
  annotate: 'M5 9c0-3 4-5 8-4s7 4 6 8-5 7-9 6-5-5-5-10zM12 9v6M9 12h6',
  training: 'M4 4v16h16M7 15l4-5 3 3 5-7',
  dice: 'M5 5h14v14H5zM9 9h.01M15 9h.01M9 15h.01M15 15h.01M12 12h.01',
  image: 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01',
  close: 'M6 6l12 12M18 6 6 18',
  again: 'M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5',
  down: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  trash: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13',
  check: 'M5 12l5 5 9-10',
  undo: 'M9 7 4 12l5 5M4 12h10a5 5 0 0 1 0 10h-2',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  box: 'M4 7V4h3M17 4h3v3M20 17v3h-3M7 20H4v-3',
  next: 'M9 5l7 7-7 7',
  wand: 'M4 20 15 9M17 3v4M15 5h4M20 10v3M18.500 11.500h3',
  send: 'M4 12 20 4l-5 16-4-6z',
  stop: 'M7 7h10v10H7z',
  edit: 'M4 20h4L19 9l-4-4L4 16z',
};

/** A drawn sign; words beside it say what it means. */
export function icon(name) {
  return h('svg', { viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true' }, h('path', { d: PATHS[name] }));
}

/** A button with a sign and words; `quiet` shows the sign only. */
export function button(name, words, onclick, { quiet = false, kind = '', type = 'button', key } = {}) {
  const label = key ? `${words} (${key})` : words;
  return h('button', { type, class: `${kind} ${quiet ? 'quiet' : ''}`, onclick, title: quiet || key ? label : undefined,
    'aria-label': words, 'aria-keyshortcuts': key }, icon(name), quiet ? null : h('span', {}, words));
}

let fields = 0;

/** A labelled field. */
export function field(label, input, hint) {
  input.id ||= `f${++fields}`;
  const id = `${input.id}-hint`;
  if (hint) input.setAttribute('aria-describedby', id);
  return h('div', { class: 'field' }, h('label', { for: input.id }, label), input, hint ? h('p', { class: 'hint', id }, hint) : null);
}

/** Says something for a while. */
export function toast(words, bad = false) {
  const t = h('div', { class: bad ? 'toast bad' : 'toast' }, words);
  document.getElementById('toasts').append(t);
  setTimeout(() => t.remove(), bad ? 9000 : 4000);
}

export function empty(title, words, ...more) {
  return h('div', { class: 'empty' }, h('h2', {}, title), h('p', {}, words), ...more);
}

/** As a data: address. */
export function dataUrl(file) {
  return new Promise((done, fail) => {
    const r = new FileReader();
    r.onload = () => done(r.result);
    r.onerror = () => fail(r.error);
    r.readAsDataURL(file);
  });
}

/** Takes pictures that are dropped on an element or pasted while it is there. */
export function takesPictures(target, take) {
  const over = e => { if ([...e.dataTransfer.types].includes('Files')) { e.preventDefault(); target.classList.add('over'); } };
  const out = () => target.classList.remove('over');
  target.addEventListener('dragover', over);
  target.addEventListener('dragleave', out);
  target.addEventListener('drop', e => {
    e.preventDefault();
    out();
    const f = [...e.dataTransfer.files].find(x => x.type.startsWith('image/'));
    if (f) take(f); else toast('That is not a picture.', true);
  });
  target.addEventListener('paste', e => {
    const f = [...e.clipboardData.files].find(x => x.type.startsWith('image/'));
    if (f) { e.preventDefault(); take(f); }
  });
}

/** Shows frames that lie side by side in a picture, one after the other. */
export class Strip {
  constructor(canvas) {
    this.canvas = canvas;
    this.frames = 0;
    this.at = 0;
    this.still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.timer = setInterval(() => this.tick(), 125);
  }
  show(url, frames) {
    const image = new Image();
    image.onload = () => {
      this.image = image;
      this.frames = frames;
      this.canvas.width = image.width / frames;
      this.canvas.height = image.height;
      this.draw();
    };
    image.src = url;
  }
  tick() {
    if (!this.image || this.still) return;
    this.at = (this.at + 1) % this.frames;
    this.draw();
  }
  draw() {
    const c = this.canvas;
    const w = c.width;
    c.getContext('2d').drawImage(this.image, this.at % this.frames * w, 0, w, c.height, 0, 0, w, c.height);
  }
  close() { clearInterval(this.timer); }
}

export function when(seconds) {
  const ago = Date.now() / 1000 - seconds;
  if (ago < 60) return 'just now';
  if (ago < 3600) return `${Math.floor(ago / 60)} min ago`;
  if (ago < 86400) return `${Math.floor(ago / 3600)} h ago`;
  return new Date(seconds * 1000).toLocaleDateString();
}
