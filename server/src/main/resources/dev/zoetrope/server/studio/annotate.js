// The data engine: a person clicks, the model answers, the session keeps it.
import { h, icon, button, empty, toast } from './dom.js';
import { get, post, models } from './api.js';

const COLOURS = ['#e4572e', '#2e86ab', '#f3a712', '#5fad56', '#a14da0', '#17bebb', '#d1495b', '#6a7fdb', '#c9b458', '#7d8491'];
const KEYS = [['Click, Space', 'add what is wanted'], ['Right click, X', 'leave this out'], ['B, then drag', 'a box around it'], ['1 2 3', 'another of the candidates'],
  ['Enter', 'accept'], ['Z', 'take back'], ['Esc', 'clear'], ['P', 'let the model fill in'], ['N', 'done, next picture'], ['Arrows', 'move the cross by keyboard']];

/** COCO's compressed runs as bits, row by row. */
export function decode({ size: [height, width], counts }) {
  const runs = [];
  for (let p = 0; p < counts.length;) {
    let x = 0, k = 0, more = true;
    while (more) {
      const c = counts.charCodeAt(p++) - 48;
      x |= (c & 31) << 5 * k++;
      more = (c & 32) !== 0;
      if (!more && c & 16) x |= -1 << 5 * k;
    }
    if (runs.length > 2) x += runs[runs.length - 2];
    runs.push(x);
  }
  const bits = new Uint8Array(width * height);
  let at = 0;
  runs.forEach((n, i) => {
    if (i % 2) for (let j = at; j < at + n; j++) bits[j % height * width + Math.floor(j / height)] = 1;
    at += n;
  });
  return bits;
}

/** A mask as a picture with an edge. */
function paint(rle, colour, alpha) {
  const [height, width] = rle.size;
  const bits = decode(rle);
  const canvas = h('canvas', { width, height });
  const ctx = canvas.getContext('2d');
  const data = ctx.createImageData(width, height);
  const [r, g, b] = [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!bits[i]) continue;
      const edge = !(x && bits[i - 1]) || !(x < width - 1 && bits[i + 1]) || !(y && bits[i - width]) || !(y < height - 1 && bits[i + width]);
      data.data.set([r, g, b, edge ? 255 : alpha * 255], 4 * i);
    }
  }
  ctx.putImageData(data, 0, 0);
  return canvas;
}

export async function render(root, wanted) {
  const sessions = (await get('/studio/api/sessions')).sessions;
  if (!(await models('segmentation')).length) {
    root.append(h('h1', {}, 'Annotate'), empty('No model that segments is served', 'Start the server with a SAM, and click masks here:', h('pre', {}, './zoetrope serve --model facebook/sam-vit-base --pictures photos/')));
    return;
  }
  let session = sessions[0];
  let items = [];
  let state = null;
  let tool = 'add';
  let cross = null;
  let dragging = null;
  let hover = null;
  let asked = 0;
  let hovering = false;
  let pointer = null;
  let layers = [];
  let busy = 0;

  const canvas = h('canvas', { class: 'board', tabindex: 0, role: 'application', 'aria-label': 'Picture. Arrows move a cross, Space adds what is under it, X leaves it out, Enter accepts.' });
  const image = new Image();
  const status = h('p', { class: 'hint', role: 'status' });
  const strip = h('ul', { class: 'filmstrip', 'aria-label': 'Pictures of the session' });
  const masks = h('ul', { class: 'masks', 'aria-label': 'Masks' });
  const candidates = h('div', { class: 'candidates', role: 'group', 'aria-label': 'Candidates' });
  const tools = {};
  for (const [id, sign, name, key] of [['add', 'plus', 'Add', 'A'], ['leave', 'minus', 'Leave out', 'X'], ['box', 'box', 'Box', 'B']]) {
    tools[id] = button(sign, name, () => pick(id), { key: id === 'leave' ? undefined : key });
  }
  const accept = button('check', 'Accept', () => act({ do: 'accept' }), { kind: 'main', key: 'Enter' });
  const undo = button('undo', 'Undo', () => act({ do: 'undo' }), { quiet: true, key: 'Z' });
  const clear = button('close', 'Clear', () => act({ do: 'clear' }), { quiet: true, key: 'Escape' });
  const prefill = button('wand', 'Fill in', () => act({ do: 'prefill' }), { key: 'P' });
  const next = button('next', 'Done, next', () => go(), { key: 'N' });
  const choose = h('select', { 'aria-label': 'Session', onchange: () => { session = sessions.find(s => s.id === choose.value); start(); } }, ...sessions.map(s => h('option', { value: s.id }, s.name)));
  const base = () => `/studio/api/sessions/${session.id}`;

  root.append(h('div', { class: 'head' }, h('h1', {}, 'Annotate'), choose, h('span', { class: 'spring' }),
    h('a', { class: 'button', id: 'coco', download: true }, icon('down'), h('span', {}, 'COCO')), h('a', { class: 'button', id: 'sa1b', download: true }, icon('down'), h('span', {}, 'SA-1B'))),
  strip,
  h('div', { class: 'bench' },
    h('div', { class: 'easel' }, h('div', { class: 'row tools' }, ...Object.values(tools), h('span', { class: 'spring' }), undo, clear, accept), h('div', { class: 'mount' }, canvas),
      h('div', { class: 'row' }, status, h('span', { class: 'spring' }), prefill, next)),
    h('aside', { class: 'panel' }, h('h2', {}, 'Candidates'), candidates, h('h2', {}, 'Masks'), masks,
      h('details', {}, h('summary', {}, 'Keys'), h('dl', { class: 'keys' }, ...KEYS.flatMap(([k, v]) => [h('dt', {}, k), h('dd', {}, v)]))))));

  function pick(id) {
    tool = id;
    for (const [name, b] of Object.entries(tools)) b.setAttribute('aria-pressed', name === id);
    canvas.classList.toggle('boxing', id === 'box');
  }

  async function start() {
    items = (await get(base())).pictures;
    root.querySelector('#coco').href = `${base()}/export`;
    if (!items.length) { toast('The session has no pictures.', true); return; }
    await open(Math.max(0, items.findIndex(i => !i.done)));
  }

  function film() {
    strip.replaceChildren(...items.map(i => h('li', {}, h('button', { type: 'button', class: 'thumb', 'aria-current': state?.number === i.number ? 'true' : undefined,
      'aria-label': `${i.name}, ${i.masks} masks${i.done ? ', done' : ''}`, onclick: () => open(i.number) },
    h('img', { src: `${base()}/${i.number}/picture?side=96`, alt: '', loading: 'lazy' }), i.done ? h('span', { class: 'mark' }, icon('check')) : i.masks ? h('span', { class: 'mark number' }, String(i.masks)) : null))));
    strip.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }

  async function open(number) {
    status.textContent = 'Looking at the picture …';
    hover = null;
    cross = null;
    state = null;
    root.querySelector('#sa1b').href = `${base()}/export?picture=${number}`;
    await new Promise((done, fail) => { image.onload = done; image.onerror = fail; image.src = `${base()}/${number}/picture`; });
    size();
    const mine = ++asked;
    const s = await get(`${base()}/${number}`);
    if (mine === asked) take(s);
  }

  async function go() {
    if (!state) return;
    const now = state.number;
    await act({ do: 'done', value: true });
    const following = items.find(i => !i.done && i.number > now) ?? items.find(i => !i.done);
    if (following) open(following.number); else toast('All pictures are done.');
  }

  async function act(body) {
    if (!state) return;
    if (['accept', 'undo', 'clear', 'choose'].includes(body.do) && !state.candidates.length) return;
    const mine = ++asked;
    busy++;
    root.classList.add('busy');
    if (body.do === 'prefill') status.textContent = 'The model looks for what it is sure of …';
    try {
      const before = state.annotations.length;
      const s = await post(`${base()}/${state.number}`, body);
      if (mine === asked) take(s);
      if (body.do === 'prefill') toast(`${s.annotations.length - before} masks filled in`);
    } catch (e) {
      toast(e.message, true);
      status.textContent = '';
    } finally {
      if (!--busy) root.classList.remove('busy');
    }
  }

  function take(s) {
    state = s;
    hover = null;
    Object.assign(items[s.number], { done: s.done, masks: s.annotations.length });
    layers = s.annotations.map(a => paint(a.segmentation, colour(a), .45));
    film();
    side();
    status.textContent = s.candidates.length ? `${Math.round(s.millis)} ms · predicted IoU ${iou(s.candidates[s.chosen])}` : 'Point at something.';
    accept.disabled = undo.disabled = clear.disabled = !s.candidates.length;
    draw();
  }

  const iou = c => Math.min(1, c.predicted_iou).toFixed(2);
  const colour = a => COLOURS[(a.id - 1) % COLOURS.length];

  function side() {
    masks.replaceChildren(...state.annotations.map(a => {
      const swatch = h('i', { class: 'swatch' });
      swatch.style.background = colour(a);
      return h('li', { onmouseenter: () => draw(a), onmouseleave: () => draw() }, swatch, h('span', {}, `${a.area} px`), h('span', { class: 'hint' }, a.source),
        button('trash', `Remove mask ${a.id}`, () => act({ do: 'remove', id: a.id }), { quiet: true }));
    }));
    if (!state.annotations.length) masks.append(h('li', { class: 'hint' }, 'None yet.'));
    candidates.replaceChildren(...state.candidates.map((c, i) => {
      const picture = h('canvas', { width: state.width, height: state.height, 'aria-hidden': 'true' });
      const ctx = picture.getContext('2d');
      ctx.drawImage(image, 0, 0);
      ctx.drawImage(paint(c.segmentation, '#ff5a36', .55), 0, 0);
      return h('button', { type: 'button', 'aria-pressed': String(i === state.chosen), onclick: () => act({ do: 'choose', index: i }), 'aria-label': `Candidate ${i + 1}, predicted IoU ${iou(c)}` }, picture, h('span', {}, iou(c)));
    }));
    if (!state.candidates.length) candidates.append(h('p', { class: 'hint' }, 'A click on the picture gives three.'));
  }

  function size() {
    const mount = canvas.parentElement;
    const scale = Math.min(mount.clientWidth / image.width, Math.max(260, innerHeight * .62) / image.height);
    const ratio = devicePixelRatio || 1;
    canvas.style.width = `${image.width * scale}px`;
    canvas.style.height = `${image.height * scale}px`;
    canvas.width = Math.round(image.width * scale * ratio);
    canvas.height = Math.round(image.height * scale * ratio);
    draw();
  }

  function draw(only) {
    if (!image.width) return;
    const ctx = canvas.getContext('2d');
    const k = canvas.width / image.width;
    ctx.imageSmoothingEnabled = k < 3;
    ctx.drawImage(image, 0, 0, canvas.width, canvas.height);
    if (!state) return;
    ctx.imageSmoothingEnabled = false;
    state.annotations.forEach((a, i) => { if (!only || only === a) ctx.drawImage(layers[i], 0, 0, canvas.width, canvas.height); });
    if (state.candidates.length && !only) ctx.drawImage(paint(state.candidates[state.chosen].segmentation, '#ff5a36', .5), 0, 0, canvas.width, canvas.height);
    else if (hover && !only) ctx.drawImage(paint(hover.segmentation, '#ff5a36', .3), 0, 0, canvas.width, canvas.height);
    const unit = (devicePixelRatio || 1);
    for (const [x, y, wanted] of state.points) {
      ctx.beginPath();
      ctx.arc(x * k, y * k, 6 * unit, 0, 7);
      ctx.fillStyle = wanted ? '#1f9d55' : '#d1202f';
      ctx.fill();
      ctx.lineWidth = 2 * unit;
      ctx.strokeStyle = '#fff';
      ctx.stroke();
    }
    const b = dragging ? [dragging.x0, dragging.y0, dragging.x1, dragging.y1] : state.box;
    if (b.length) {
      ctx.setLineDash([6 * unit, 4 * unit]);
      ctx.lineWidth = 2 * unit;
      ctx.strokeStyle = '#fff';
      ctx.strokeRect(Math.min(b[0], b[2]) * k, Math.min(b[1], b[3]) * k, Math.abs(b[2] - b[0]) * k, Math.abs(b[3] - b[1]) * k);
      ctx.setLineDash([]);
    }
    if (cross) {
      ctx.lineWidth = 2 * unit;
      for (const [c, w] of [['#000', 4], ['#fff', 2]]) {
        ctx.strokeStyle = c;
        ctx.lineWidth = w * unit;
        ctx.beginPath();
        ctx.moveTo(cross.x * k - 12 * unit, cross.y * k); ctx.lineTo(cross.x * k + 12 * unit, cross.y * k);
        ctx.moveTo(cross.x * k, cross.y * k - 12 * unit); ctx.lineTo(cross.x * k, cross.y * k + 12 * unit);
        ctx.stroke();
      }
    }
  }

  const at = e => {
    const r = canvas.getBoundingClientRect();
    return { x: Math.min(image.width - 1, Math.max(0, (e.clientX - r.left) / r.width * image.width)), y: Math.min(image.height - 1, Math.max(0, (e.clientY - r.top) / r.height * image.height)) };
  };

  async function look() {
    if (hovering || !pointer || !state || state.candidates.length || busy) return;
    hovering = true;
    while (pointer && state && !state.candidates.length && !busy) {
      const p = pointer;
      pointer = null;
      const mine = asked;
      try {
        const r = await post(`${base()}/${state.number}/hover`, p);
        if (mine === asked) { hover = r.mask; draw(); }
      } catch { break; }
    }
    hovering = false;
  }

  canvas.addEventListener('pointermove', e => {
    const p = at(e);
    if (dragging) { dragging.x1 = p.x; dragging.y1 = p.y; draw(); return; }
    if (e.pointerType === 'mouse' && tool !== 'box') { pointer = p; look(); }
  });
  canvas.addEventListener('pointerleave', () => { pointer = null; hover = null; draw(); });
  canvas.addEventListener('contextmenu', e => e.preventDefault());
  canvas.addEventListener('pointerdown', e => {
    if (!state) return;
    cross = null;
    const p = at(e);
    if (tool === 'box' && e.button === 0) {
      canvas.setPointerCapture(e.pointerId);
      dragging = { x0: p.x, y0: p.y, x1: p.x, y1: p.y };
      e.preventDefault();
    } else {
      act({ do: 'click', ...p, foreground: e.button !== 2 && tool !== 'leave' });
    }
  });
  canvas.addEventListener('pointerup', () => {
    if (!dragging) return;
    const d = dragging;
    dragging = null;
    const b = [Math.min(d.x0, d.x1), Math.min(d.y0, d.y1), Math.max(d.x0, d.x1), Math.max(d.y0, d.y1)];
    if (b[2] - b[0] > 1 && b[3] - b[1] > 1) act({ do: 'box', box: b }); else draw();
    pick('add');
  });

  function key(e) {
    if (e.target.matches?.('input, select, textarea') || e.ctrlKey || e.metaKey || e.altKey) return;
    const onButton = e.target.matches?.('button, a, summary');
    const step = e.shiftKey ? 10 : 2;
    const arrows = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (e.target === canvas && arrows[e.key]) {
      e.preventDefault();
      cross ??= { x: image.width / 2, y: image.height / 2 };
      cross = { x: Math.min(image.width - 1, Math.max(0, cross.x + arrows[e.key][0])), y: Math.min(image.height - 1, Math.max(0, cross.y + arrows[e.key][1])) };
      pointer = cross;
      look();
      draw();
    } else if (e.target === canvas && e.key === ' ' && cross) { e.preventDefault(); act({ do: 'click', ...cross, foreground: true }); }
    else if (e.key === 'x') { if (cross) act({ do: 'click', ...cross, foreground: false }); else pick('leave'); }
    else if (e.key === 'a') pick('add');
    else if (e.key === 'b') pick('box');
    else if (e.key === 'z') act({ do: 'undo' });
    else if (e.key === 'n') go();
    else if (e.key === 'p') act({ do: 'prefill' });
    else if (e.key === 'Escape') act({ do: 'clear' });
    else if (e.key === 'Enter' && !onButton) act({ do: 'accept' });
    else if ('123'.includes(e.key) && state?.candidates[e.key - 1]) act({ do: 'choose', index: e.key - 1 });
  }
  document.addEventListener('keydown', key);
  addEventListener('resize', size);
  pick('add');
  await start();
  return () => { document.removeEventListener('keydown', key); removeEventListener('resize', size); };
}
