// All that was made, with its settings.
import { h, icon, button, toast, empty, when } from './dom.js';
import { get, remove, content } from './api.js';
import { player, repeat } from './make.js';

const PAGE = 24;

export async function render(root) {
  const grid = h('ul', { class: 'cards', 'aria-label': 'Results' });
  const more = h('button', { type: 'button', onclick: () => load() }, 'Show more');
  let last = '';
  const eye = new IntersectionObserver(all => all.forEach(e => { const v = e.target; if (e.isIntersecting) v.play().catch(() => {}); else v.pause(); }));
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

  async function load() {
    const jobs = (await get(`/studio/api/jobs?limit=${PAGE}&after=${last}`)).data;
    last = jobs.at(-1)?.id ?? last;
    jobs.forEach(j => grid.append(card(j)));
    more.hidden = jobs.length < PAGE;
    if (!grid.childElementCount) {
      root.replaceChildren(h('h1', {}, 'Gallery'), empty('Nothing here yet', 'What you make stays here until it expires.', h('a', { class: 'button main', href: '#make' }, 'Make something')));
    }
  }

  function card(job) {
    const done = job.status === 'completed';
    const failed = job.status === 'failed';
    let media;
    if (!done) media = h('div', { class: 'pending' }, failed ? job.error?.message ?? 'failed' : job.status === 'queued' ? 'waiting' : `${job.progress} %`);
    else if (job.object === 'video' && !still) {
      media = h('video', { poster: content(job, 'thumbnail'), src: content(job), loop: true, playsinline: true, preload: 'none', 'aria-hidden': 'true' });
      media.muted = true;
      eye.observe(media);
    } else media = h('img', { src: content(job, 'thumbnail'), alt: '', loading: 'lazy' });
    const item = h('li', { class: 'card' }, h('button', { type: 'button', class: 'open', 'aria-label': `Open: ${job.prompt}`, onclick: () => open(job, item) }, media),
      h('p', { class: 'caption' }, job.prompt), h('p', { class: 'hint' }, `seed ${job.settings.seed} · ${when(job.created_at)}`));
    return item;
  }

  function open(job, item) {
    const s = job.settings;
    const rows = { Model: job.model, Size: s.size, Frames: job.object === 'video' ? `${s.frames} at ${s.fps} a second` : null, Steps: s.steps, Guidance: s.guidance_scale,
      Seed: s.seed, 'Keep away from': s.negative_prompt, Expires: new Date(job.expires_at * 1000).toLocaleString() };
    const dialog = h('dialog', { class: 'viewer', 'aria-label': job.prompt, onclose: () => dialog.remove(), onclick: e => { if (e.target === dialog) dialog.close(); } },
      h('div', { class: 'viewer-inner' },
        h('div', { class: 'frame' }, job.status === 'completed' ? player(job) : h('p', { class: 'note' }, job.error?.message ?? job.status)),
        h('div', { class: 'about' }, h('h2', {}, job.prompt),
          h('dl', {}, ...Object.entries(rows).filter(([, v]) => v !== undefined && v !== null).flatMap(([k, v]) => [h('dt', {}, k), h('dd', {}, String(v))])),
          h('div', { class: 'row' },
            button('again', 'Again with another seed', async () => {
              try { const made = await repeat(job); dialog.close(); location.hash = `make/${made.id}`; } catch (e) { toast(e.message, true); }
            }, { kind: 'main' }),
            button('edit', 'Change it', () => { dialog.close(); location.hash = `make/${job.id}`; }),
            job.status === 'completed' ? h('a', { class: 'button', href: content(job), download: `${job.id}.${job.object === 'video' ? 'mp4' : 'png'}` }, icon('down'), h('span', {}, 'Save')) : null,
            button('trash', 'Delete', async () => { await remove(`/v1/videos/${job.id}`); item.remove(); dialog.close(); })),
          ),
        button('close', 'Close', () => dialog.close(), { quiet: true, kind: 'corner' })));
    document.body.append(dialog);
    dialog.showModal();
  }

  root.append(h('h1', {}, 'Gallery'), grid, more);
  await load();
  return () => eye.disconnect();
}
