// The server, as the pages see it.
import { h } from './dom.js';

class Failure extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

async function call(method, path, body, signal) {
  const r = await fetch(path, { method, signal, credentials: 'same-origin',
    headers: body ? { 'Content-Type': 'application/json' } : {}, body: body ? JSON.stringify(body) : undefined });
  if (r.status === 401) {
    await login();
    return call(method, path, body, signal);
  }
  if (!r.ok) {
    const said = await r.json().catch(() => null);
    throw new Failure(r.status, said?.error?.message ?? `The server answered ${r.status}.`);
  }
  return r;
}

export const get = async (path, signal) => (await call('GET', path, undefined, signal)).json();
export const post = async (path, body, signal) => (await call('POST', path, body, signal)).json();
export const remove = async path => (await call('DELETE', path)).json();

/** Hands on each event of a stream; returns when it ends. */
export async function events(method, path, body, take, signal) {
  const r = await call(method, path, body, signal);
  const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data: ') && line !== 'data: [DONE]') take(JSON.parse(line.slice(6)));
    }
  }
}

let asking;

/** Asks for a key, once for all who wait. */
function login() {
  asking ??= new Promise(done => {
    const input = h('input', { type: 'password', autocomplete: 'current-password', required: true, 'aria-label': 'API key' });
    const wrong = h('p', { class: 'bad', role: 'alert' });
    const form = h('form', { method: 'dialog', class: 'login' }, h('h2', {}, 'API key'),
      h('p', { class: 'hint' }, 'This server asks for a key. It is exchanged for a cookie of twelve hours and not kept in the browser.'),
      input, wrong, h('button', { class: 'main' }, 'Enter'));
    const dialog = h('dialog', { class: 'small' }, form);
    dialog.addEventListener('cancel', e => e.preventDefault());
    form.addEventListener('submit', async e => {
      e.preventDefault();
      const r = await fetch('/studio/login', { method: 'POST', headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ key: input.value }) });
      if (r.ok) { dialog.close(); dialog.remove(); asking = undefined; done(); } else { wrong.textContent = 'This key is not known here.'; input.select(); }
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

export const models = async ability => (await get('/v1/models')).data.filter(m => m.abilities.includes(ability));
export const content = (job, variant = 'video') => `/v1/videos/${job.id}/content?variant=${variant}`;
