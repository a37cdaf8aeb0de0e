// A conversation, about pictures if the model sees.
import { h, icon, button, toast, empty, dataUrl, takesPictures } from './dom.js';
import { models, events } from './api.js';

export async function render(root) {
  const list = await models('chat');
  if (!list.length) {
    root.append(h('h1', {}, 'Chat'), empty('No chat model is served', 'Start the server with one, and talk about pictures here:',
      h('pre', {}, './zoetrope serve --model llava-hf/llava-1.5-7b-hf')));
    return;
  }
  let said = [];
  let picture = null;
  let running = null;

  const model = h('select', { 'aria-label': 'Model' }, ...list.map(m => h('option', { value: m.id }, m.id)));
  const log = h('div', { class: 'log', role: 'log', 'aria-label': 'Conversation' });
  const attached = h('div', { class: 'attached' });
  const file = h('input', { type: 'file', accept: 'image/*', class: 'hidden', 'aria-label': 'Picture' });
  const text = h('textarea', { rows: 1, placeholder: 'Ask something', 'aria-label': 'Question', required: true });
  const send = button('send', 'Send', undefined, { quiet: true, kind: 'main', type: 'submit' });
  const form = h('form', { class: 'ask' }, attached, button('image', 'Add a picture', () => file.click(), { quiet: true }), file, text, send);
  file.onchange = () => file.files[0] && take(file.files[0]);
  takesPictures(root, take);
  async function take(f) { show(await dataUrl(f)); text.focus(); }
  function show(url) {
    picture = url;
    attached.replaceChildren(...(url ? [h('img', { src: url, alt: 'The picture that goes with the question' }), button('close', 'Take the picture away', () => show(null), { quiet: true })] : []));
  }
  text.addEventListener('keydown', e => { if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) { e.preventDefault(); form.requestSubmit(); } });
  text.addEventListener('input', () => { text.style.height = 'auto'; text.style.height = `${Math.min(200, text.scrollHeight)}px`; });

  function fresh() {
    running?.abort();
    said = [];
    show(null);
    log.replaceChildren(h('p', { class: 'idle' }, 'Ask a question. Drop, paste or add a picture to ask about it.'));
  }

  form.addEventListener('submit', async e => {
    e.preventDefault();
    if (running) { running.abort(); return; }
    const question = text.value.trim();
    if (!question) return;
    if (!said.length) log.replaceChildren();
    const parts = picture ? [{ type: 'image_url', image_url: { url: picture } }, { type: 'text', text: question }] : question;
    const mine = { role: 'user', content: parts };
    log.append(h('div', { class: 'turn me' }, picture ? h('img', { src: picture, alt: 'Picture' }) : null, h('p', {}, question)));
    const answer = h('p', { class: 'writing' });
    log.append(h('div', { class: 'turn' }, answer));
    text.value = '';
    text.style.height = 'auto';
    show(null);
    running = new AbortController();
    send.replaceChildren(icon('stop'));
    send.setAttribute('aria-label', 'Stop');
    let whole = '';
    try {
      await events('POST', '/v1/chat/completions', { model: model.value, messages: [...said, mine], stream: true }, e => {
        if (e.error) throw new Error(e.error.message);
        whole += e.choices[0]?.delta?.content ?? '';
        answer.textContent = whole;
        log.scrollTop = log.scrollHeight;
      }, running.signal);
    } catch (failure) {
      if (failure.name !== 'AbortError') { answer.classList.add('bad'); answer.textContent = failure.message; whole = ''; }
    }
    if (whole) said.push(mine, { role: 'assistant', content: whole });
    answer.classList.remove('writing');
    running = null;
    send.replaceChildren(icon('send'));
    send.setAttribute('aria-label', 'Send');
  });

  root.append(h('div', { class: 'head' }, h('h1', {}, 'Chat'), model, button('plus', 'New', fresh)), log, form);
  fresh();
  return () => running?.abort();
}
