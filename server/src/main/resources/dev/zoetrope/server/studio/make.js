// A prompt becomes a clip or a picture, and one can watch.
import { h, icon, button, field, toast, dataUrl, takesPictures, Strip } from './dom.js';
import { get, post, events, models, content } from './api.js';

const EXAMPLES = ['a fox bouncing on a blue background', 'a red car driving to the left on a green background',
  'a rocket rising on a black background', 'a butterfly shrinking on a yellow background', 'a soccer ball spinning on a grey background'];

export async function render(root, again) {
  const all = (await get('/v1/models')).data;
  const able = kind => all.filter(m => m.abilities.includes(kind));
  let kind = 'video';
  let input = null;
  let watching = null;

  const prompt = h('textarea', { rows: 3, required: true, maxlength: 4000, placeholder: EXAMPLES[0] });
  const kinds = h('div', { class: 'segments', role: 'radiogroup', 'aria-label': 'What to make' },
    ...[['video', 'Clip'], ['image', 'Picture']].map(([id, name]) => h('label', {},
      h('input', { type: 'radio', name: 'kind', value: id, checked: id === kind, onchange: () => { kind = id; refresh(); } }), h('span', {}, name))));
  const model = h('select', {});
  const size = h('input', { placeholder: 'as the model likes', pattern: '\\d+x\\d+', inputmode: 'text' });
  const seconds = h('input', { type: 'number', min: 0.1, step: 0.1, placeholder: 'auto' });
  const steps = h('input', { type: 'number', min: 1, max: 250, placeholder: 'auto' });
  const guidance = h('input', { type: 'number', min: 0, max: 50, step: 0.1, placeholder: 'auto' });
  const strength = h('input', { type: 'number', min: 0.05, max: 1, step: 0.05, placeholder: '0.6' });
  const negative = h('input', { placeholder: 'nothing' });
  const seed = h('input', { type: 'number', min: 0, step: 1, placeholder: 'another each time' });
  const dice = button('dice', 'Draw a seed', () => { seed.value = Math.floor(Math.random() * 2 ** 31); }, { quiet: true });
  const secondsField = field('Seconds', seconds);
  const strengthField = field('How much changes', strength);

  const file = h('input', { type: 'file', accept: 'image/*', class: 'hidden', 'aria-label': 'Picture to start from' });
  const drop = h('div', { class: 'drop' });
  file.onchange = () => file.files[0] && take(file.files[0]);
  takesPictures(drop, take);
  async function take(f) { setInput(await dataUrl(f)); }
  function setInput(url) { input = url; refresh(); }

  const go = h('button', { class: 'main', type: 'submit' }, 'Make it');
  const form = h('form', { class: 'panel' },
    kinds,
    field('Prompt', prompt),
    drop,
    h('details', {}, h('summary', {}, 'Settings'),
      h('div', { class: 'grid2' }, field('Model', model), field('Size', size), secondsField, field('Steps', steps),
        field('Guidance', guidance), strengthField),
      h('div', { class: 'seed' }, field('Seed', seed), dice), field('Keep away from', negative)),
    go);
  prompt.addEventListener('keydown', e => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) form.requestSubmit(); });

  const screen = h('div', { class: 'screen' });
  const note = h('p', { class: 'note', role: 'status' });
  const bar = h('div', { class: 'slits', 'aria-hidden': 'true' });
  const tools = h('div', { class: 'row' });
  const stage = h('section', { class: 'stage', 'aria-label': 'Result' }, screen, bar, h('div', { class: 'under' }, note, tools));
  const recent = h('div', { class: 'strip' });
  root.append(h('h1', { class: 'quietly' }, 'Make'), h('div', { class: 'columns' }, form, h('div', { class: 'wide' }, stage,
    h('section', { 'aria-label': 'Made lately' }, recent))));

  function refresh() {
    const chosen = model.value;
    const list = able(kind === 'video' ? 'video' : input ? 'edit' : 'image');
    model.replaceChildren(...list.map(m => h('option', { value: m.id }, m.id)));
    if (list.some(m => m.id === chosen)) model.value = chosen;
    secondsField.hidden = kind !== 'video';
    strengthField.hidden = !(kind === 'image' && input);
    drop.replaceChildren(...(input
      ? [h('img', { src: input, alt: 'The picture to start from' }), h('span', {}, kind === 'video' ? 'First frame' : 'To be changed'),
        button('close', 'Take the picture away', () => setInput(null), { quiet: true })]
      : [icon('image'), h('span', {}, 'Drop a picture, or '), h('button', { type: 'button', class: 'link', onclick: () => file.click() }, 'choose one'), file]));
    go.disabled = list.length === 0;
  }

  function idle() {
    bar.replaceChildren();
    tools.replaceChildren();
    note.textContent = '';
    screen.replaceChildren(h('div', { class: 'idle' }, h('p', {}, 'What shall move?'),
      h('div', { class: 'chips' }, ...EXAMPLES.map(x => h('button', { type: 'button', class: 'chip', onclick: () => { prompt.value = x; form.requestSubmit(); } }, x)))));
  }

  form.addEventListener('submit', async e => {
    e.preventDefault();
    const body = { kind, prompt: prompt.value.trim(), model: model.value };
    if (size.value) body.size = size.value;
    if (kind === 'video' && seconds.value) body.seconds = seconds.value;
    if (steps.value) body.steps = +steps.value;
    if (guidance.value) body.guidance_scale = +guidance.value;
    if (negative.value) body.negative_prompt = negative.value;
    if (seed.value) body.seed = +seed.value;
    if (input) body.input = input;
    if (input && kind === 'image' && strength.value) body.strength = +strength.value;
    go.disabled = true;
    try {
      const job = await post('/studio/api/jobs', body);
      if (job.unknown_words?.length) toast(`The model has never seen: ${job.unknown_words.join(', ')}`);
      watch(job);
      if (innerWidth < 900) stage.scrollIntoView({ behavior: 'smooth' });
    } catch (failure) {
      toast(failure.message, true);
    } finally {
      go.disabled = false;
    }
  });

  async function watch(job) {
    watching?.stop();
    const stop = new AbortController();
    const canvas = h('canvas', { width: 64, height: 64, role: 'img', 'aria-label': job.prompt });
    const strip = new Strip(canvas);
    watching = { stop() { stop.abort(); strip.close(); } };
    screen.replaceChildren(h('div', { class: 'frame waiting' }, canvas));
    tools.replaceChildren(button('stop', 'Stop', async () => { await post(`/v1/videos/${job.id}/cancel`, {}); }));
    note.textContent = 'Waiting for its turn';
    slits(0, job.settings.steps);
    try {
      await events('GET', `/studio/api/jobs/${job.id}/events`, undefined, e => {
        if (e.strip) { canvas.parentElement.classList.remove('waiting'); strip.show(e.strip, e.frames); }
        if (e.steps) { slits(e.step, e.steps); note.textContent = e.step < e.steps ? `Step ${e.step} of ${e.steps}` : 'Writing the file'; }
        if (e.job && !['queued', 'in_progress'].includes(e.job.status)) { strip.close(); over(e.job); }
      }, stop.signal);
    } catch (e) {
      if (e.name !== 'AbortError') throw e;
    }
  }

  function slits(step, all) {
    if (bar.childElementCount !== all) bar.replaceChildren(...Array.from({ length: all }, () => h('i')));
    [...bar.children].forEach((s, i) => s.classList.toggle('full', i < step));
  }

  function over(job) {
    if (job.status !== 'completed') {
      screen.replaceChildren(h('div', { class: 'idle' }, h('p', {}, job.error?.message ?? 'It came to nothing.')));
      note.textContent = '';
      tools.replaceChildren(button('again', 'Try again', () => form.requestSubmit()));
      return;
    }
    view(job);
    list();
  }

  function view(job) {
    watching?.stop();
    watching = null;
    slits(job.settings.steps, job.settings.steps);
    screen.replaceChildren(h('div', { class: 'frame' }, player(job)));
    note.textContent = `${job.prompt} · seed ${job.settings.seed}`;
    tools.replaceChildren(
      button('again', 'Another seed', () => anew(job)),
      h('a', { class: 'button', href: content(job), download: `${job.id}.${job.object === 'video' ? 'mp4' : 'png'}` }, icon('down'), h('span', {}, 'Save')));
  }

  async function anew(job) {
    try {
      watch(await repeat(job));
    } catch (e) {
      toast(e.message, true);
    }
  }

  async function list() {
    const jobs = (await get('/studio/api/jobs?limit=12')).data.filter(j => j.status === 'completed');
    recent.replaceChildren(...jobs.map(j => h('button', { type: 'button', class: 'thumb', onclick: () => { view(j); fill(j); }, 'aria-label': `Show: ${j.prompt}` },
      h('img', { src: content(j, 'thumbnail'), alt: '', loading: 'lazy' }))));
    return jobs;
  }

  function fill(job) {
    const s = job.settings;
    kind = job.object;
    kinds.querySelector(`[value=${kind}]`).checked = true;
    prompt.value = s.prompt;
    size.value = s.size ?? '';
    seconds.value = s.fps ? s.frames / s.fps : '';
    steps.value = s.steps;
    guidance.value = s.guidance_scale;
    negative.value = s.negative_prompt ?? '';
    seed.value = s.seed;
    refresh();
    model.value = job.model;
  }

  refresh();
  idle();
  const jobs = await list();
  if (again) {
    const job = await get(`/v1/videos/${again}`);
    fill(job);
    if (job.status === 'completed') view(job); else watch(job);
  } else {
    const open = (await get('/studio/api/jobs?limit=5')).data.find(j => ['queued', 'in_progress'].includes(j.status));
    if (open) watch(open); else if (jobs[0]) view(jobs[0]);
  }
  return () => watching?.stop();
}

/** What a job made, playing. */
export function player(job) {
  if (job.object === 'image') return h('img', { src: content(job), alt: job.prompt });
  const v = h('video', { src: content(job), poster: content(job, 'thumbnail'), loop: true, playsinline: true, preload: 'auto', 'aria-label': job.prompt,
    controls: matchMedia('(prefers-reduced-motion: reduce)').matches });
  v.muted = true;
  if (!v.controls) v.autoplay = true;
  return v;
}

/** The same with another seed. */
export async function repeat(job) {
  const s = job.settings;
  return post('/studio/api/jobs', { kind: job.object, model: job.model, prompt: s.prompt, negative_prompt: s.negative_prompt ?? '', size: s.size, frames: s.frames,
    fps: s.fps, steps: s.steps, guidance_scale: s.guidance_scale, strength: s.strength, source: job.id });
}
