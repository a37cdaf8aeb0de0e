// Which page is shown.
import { h, icon, toast } from './dom.js';
import { get } from './api.js';

const PAGES = { make: 'Make', gallery: 'Gallery', chat: 'Chat', search: 'Search', annotate: 'Annotate', training: 'Training' };

const main = document.getElementById('main');
const nav = document.getElementById('nav');
const links = {};
for (const [id, name] of Object.entries(PAGES)) {
  links[id] = h('a', { href: `#${id}` }, icon(id), h('span', {}, name));
  nav.append(links[id]);
}

let leave = () => {};
let shown = 0;

async function show() {
  const [id, argument] = location.hash.slice(1).split('/');
  const page = id in PAGES ? id : 'make';
  const mine = ++shown;
  leave();
  leave = () => {};
  for (const [name, link] of Object.entries(links)) {
    if (name === page) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
  }
  document.title = `${PAGES[page]} · Zoetrope Studio`;
  const root = h('div', { class: `page ${page}` });
  main.replaceChildren(root);
  try {
    const module = await import(`./${page}.js`);
    const left = await module.render(root, argument && decodeURIComponent(argument));
    if (mine === shown) leave = left ?? leave; else left?.();
  } catch (e) {
    if (mine === shown) root.replaceChildren(h('div', { class: 'empty' }, h('h2', {}, 'That did not work'), h('p', {}, e.message)));
  }
}

addEventListener('hashchange', () => { show(); main.focus({ preventScroll: true }); scrollTo(0, 0); });
addEventListener('unhandledrejection', e => { if (e.reason?.name !== 'AbortError') toast(e.reason?.message ?? 'That did not work.', true); });
show();
get('/v1/models').then(m => {
  const loaded = m.data.filter(x => x.loaded).length;
  document.getElementById('machine').textContent = `${m.data.length} models, ${loaded} in memory`;
});
