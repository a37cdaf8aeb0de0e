// Pictures of a folder by what they show.
import { h, icon, button, empty, dataUrl, takesPictures, toast } from './dom.js';
import { get, post, models } from './api.js';

export async function render(root) {
  const folders = (await get('/studio/api/folders')).folders;
  const able = await models('embedding');
  let folder = folders[0];
  let turn = 0;

  const choose = h('select', { 'aria-label': 'Folder', onchange: () => { folder = folders.find(f => f.id === choose.value); browse(); } },
    ...folders.map(f => h('option', { value: f.id }, `${f.name} (${f.pictures})`)));
  const text = h('input', { type: 'search', placeholder: 'a red train', 'aria-label': 'What to look for' });
  const file = h('input', { type: 'file', accept: 'image/*', class: 'hidden', 'aria-label': 'Picture to look for' });
  const form = h('form', { class: 'searchbar', role: 'search' }, icon('search'), text, button('image', 'Search by a picture', () => file.click(), { quiet: true }), file,
    h('button', { class: 'main', type: 'submit' }, 'Search'));
  const note = h('p', { class: 'hint', role: 'status' });
  const grid = h('ul', { class: 'cards small', 'aria-label': 'Pictures' });

  async function browse() {
    const mine = ++turn;
    const all = (await get(`/studio/api/folders/${folder.id}`)).pictures;
    if (mine !== turn) return;
    note.textContent = `${folder.pictures} pictures`;
    fill(all);
  }

  async function find(question, words) {
    const mine = ++turn;
    note.textContent = 'Looking …';
    try {
      const r = await post(`/studio/api/folders/${folder.id}/search`, question);
      if (mine !== turn) return;
      note.textContent = `${words} by ${r.model}, the most alike first`;
      fill(r.pictures);
    } catch (e) {
      if (mine === turn) note.textContent = e.message;
    }
  }

  function fill(pictures) {
    grid.replaceChildren(...pictures.map(p => h('li', { class: 'card' },
      h('button', { type: 'button', class: 'open', 'aria-label': `Find pictures like ${p.name}`, onclick: () => find({ like: p.id }, `Pictures like ${p.name}`) },
        h('img', { src: `/studio/api/folders/${folder.id}/${p.id}?side=320`, alt: p.name, loading: 'lazy' })),
      h('p', { class: 'hint' }, p.similarity === undefined ? p.name : `${p.similarity.toFixed(3)} · ${p.name}`))));
  }

  form.addEventListener('submit', e => {
    e.preventDefault();
    if (text.value.trim()) find({ text: text.value.trim() }, `“${text.value.trim()}”`); else browse();
  });
  const take = async f => find({ image: await dataUrl(f) }, 'Your picture');
  file.onchange = () => file.files[0] && take(file.files[0]);
  takesPictures(root, take);

  root.append(h('div', { class: 'head' }, h('h1', {}, 'Search'), choose));
  if (able.length) {
    root.append(form);
  } else {
    root.append(h('p', { class: 'hint' }, 'No model of pictures and texts is served; start the server with one, such as --model openai/clip-vit-base-patch32.'));
  }
  root.append(note, grid);
  if (folder) await browse();
  else root.append(empty('No folder is shown', 'Start the server with --pictures DIR.'));
}
