// How trainings go.
import { h, empty, when } from './dom.js';
import { get } from './api.js';

const W = 420, H = 190, LEFT = 56, BOTTOM = 22, TOP = 8, RIGHT = 8;

const short = v => v === 0 ? '0' : Math.abs(v) >= 1e4 || Math.abs(v) < 1e-3 ? v.toExponential(1) : String(+v.toPrecision(3));
const steps = n => n >= 1e6 ? `${+(n / 1e6).toFixed(1)}M` : n >= 1e3 ? `${+(n / 1e3).toFixed(1)}k` : String(n);

function smooth(values, share) {
  let m = 0, w = 0;
  return values.map(v => { m = share * m + (1 - share) * v; w = share * w + 1 - share; return m / w; });
}

function ticks(low, high, n) {
  const raw = (high - low) / n || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(k => k * power).find(s => s >= raw);
  const r = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-6; t += step) r.push(t);
  return r;
}

/** A curve with axes; pointing at it tells a step and its value. */
function chart(curve, share) {
  const { steps: xs, values } = curve;
  const ys = smooth(values, share);
  const sorted = [...values].sort((a, b) => a - b);
  const low = sorted[Math.floor(sorted.length * .005)], top = sorted[Math.ceil(sorted.length * .995) - 1];
  const pad = (top - low) * .06 || Math.abs(top) * .1 || 1;
  const y0 = low - pad, y1 = top + pad, x0 = xs[0], x1 = Math.max(xs.at(-1), x0 + 1);
  const X = s => LEFT + (s - x0) / (x1 - x0) * (W - LEFT - RIGHT);
  const Y = v => TOP + (1 - (Math.min(y1, Math.max(y0, v)) - y0) / (y1 - y0)) * (H - TOP - BOTTOM);
  const path = list => list.map((v, i) => `${i ? 'L' : 'M'}${X(xs[i]).toFixed(1)} ${Y(v).toFixed(1)}`).join('');
  const text = (x, y, anchor, words) => {
    const t = document.createElementNS('http://www.w3.org/2000/svg', 'text');
    t.setAttribute('x', x); t.setAttribute('y', y); t.setAttribute('text-anchor', anchor); t.textContent = words;
    return t;
  };
  const dot = h('circle', { r: 4, class: 'dot', visibility: 'hidden' });
  const said = h('output', {}, short(ys.at(-1)));
  const svg = h('svg', { viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': `${curve.name}: from ${short(ys[0])} to ${short(ys.at(-1))} in ${xs.at(-1)} steps` },
    ...ticks(y0, y1, 4).flatMap(t => [h('line', { x1: LEFT, x2: W - RIGHT, y1: Y(t), y2: Y(t), class: 'grid' }), text(LEFT - 6, Y(t) + 4, 'end', short(t))]),
    ...ticks(x0, x1, 4).map(t => text(X(t), H - 4, t === x0 ? 'start' : 'middle', steps(t))),
    h('path', { d: path(values), class: 'raw' }), h('path', { d: path(ys), class: 'curve' }), dot);
  svg.addEventListener('pointermove', e => {
    const r = svg.getBoundingClientRect();
    const s = x0 + ((e.clientX - r.left) / r.width * W - LEFT) / (W - LEFT - RIGHT) * (x1 - x0);
    let i = xs.findIndex(x => x >= s);
    if (i < 0) i = xs.length - 1;
    dot.setAttribute('cx', X(xs[i])); dot.setAttribute('cy', Y(ys[i])); dot.setAttribute('visibility', 'visible');
    said.textContent = `${short(ys[i])} at ${steps(xs[i])}`;
  });
  svg.addEventListener('pointerleave', () => { dot.setAttribute('visibility', 'hidden'); said.textContent = short(ys.at(-1)); });
  return h('figure', { class: 'chart' }, h('figcaption', {}, h('span', {}, curve.name.split('/').slice(1).join('/') || curve.name), said), svg);
}

export async function render(root) {
  const runs = (await get('/studio/api/runs')).runs;
  if (!runs.length) {
    root.append(h('h1', {}, 'Training'), empty('No trainings here', 'Run folders below the folder of --runs appear by themselves:', h('pre', {}, './zoetrope train sora --config recipes/sora-world.yaml --run runs/sora')));
    return;
  }
  let run = runs[0];
  let stage;
  let changed = 0;
  let data;
  const choose = h('select', { 'aria-label': 'Run', onchange: () => { run = runs.find(r => r.id === choose.value); stage = undefined; changed = 0; load(); } },
    ...runs.map(r => h('option', { value: r.id }, r.name)));
  const share = h('input', { type: 'range', min: 0, max: .99, step: .01, value: .6, id: 'smooth', oninput: () => draw() });
  const tabs = h('div', { class: 'segments', role: 'radiogroup', 'aria-label': 'Stage' });
  const note = h('p', { class: 'hint', role: 'status' });
  const charts = h('div', { class: 'charts' });
  const samples = h('div', { class: 'samples' });
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Training'), choose, h('span', { class: 'spring' }), h('label', { for: 'smooth', class: 'hint' }, 'Smoothing'), share), tabs, note, charts, samples);

  async function load() {
    const fresh = await get(`/studio/api/runs/${run.id}`);
    if (fresh.changed === changed) { said(); return; }
    changed = fresh.changed;
    data = fresh;
    stage = data.stages.some(s => s.name === stage) ? stage : data.stages.at(-1)?.name;
    tabs.replaceChildren(...data.stages.map(s => h('label', {}, h('input', { type: 'radio', name: 'stage', value: s.name, checked: s.name === stage, onchange: () => { stage = s.name; draw(); } }), h('span', {}, s.name))));
    samples.replaceChildren(...data.samples.map(n => h('figure', {}, h('figcaption', {}, n), h('img', { src: `/studio/api/runs/${run.id}/${encodeURIComponent(n)}?t=${changed}`, alt: `${n} of ${run.name}`, loading: 'lazy' }))));
    draw();
    said();
  }

  function said() { note.textContent = `Last numbers ${when(changed / 1000)}`; }

  function draw() {
    const s = data?.stages.find(x => x.name === stage);
    charts.replaceChildren(...(s?.curves ?? []).filter(c => c.steps.length > 1).sort((a, b) => /loss/.test(b.name) - /loss/.test(a.name)).map(c => chart(c, +share.value)));
    if (!charts.childElementCount) charts.append(h('p', { class: 'hint' }, 'No numbers yet.'));
  }

  await load();
  const timer = setInterval(() => { if (!document.hidden) load().catch(() => {}); }, 4000);
  return () => clearInterval(timer);
}
