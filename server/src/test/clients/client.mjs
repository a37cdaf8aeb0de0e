// What OpenAI's Node client does with the server, or it fails.
import assert from 'node:assert/strict';
import OpenAI, { toFile } from 'openai';

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'none', maxRetries: 0 });

const models = [];
for await (const m of client.models.list()) models.push(m.id);
assert(models.includes('carousel-sora'));

const one = await client.embeddings.create({ model: 'clip', input: 'a dog' });
assert.equal(one.data[0].embedding.length, 18);

const image = await client.images.generate({ model: 'carousel-sora', prompt: 'a fox', steps: 2, seed: 3 });
const png = Buffer.from(image.data[0].b64_json, 'base64');
const edited = await client.images.edit({ model: 'carousel-sora', image: await toFile(png, 'fox.png', { type: 'image/png' }), prompt: 'a fox', steps: 2 });
assert(edited.data[0].b64_json.length > 100);

const messages = [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${png.toString('base64')}` } }] }];
const whole = await client.chat.completions.create({ model: 'chat', messages, max_tokens: 6, temperature: 0 });
let text = '';
for await (const chunk of await client.chat.completions.create({ model: 'chat', messages, max_tokens: 6, temperature: 0, stream: true })) text += chunk.choices[0]?.delta?.content ?? '';
assert.equal(text.trim(), whole.choices[0].message.content);

let video = await client.videos.create({ model: 'carousel-sora', prompt: 'a fox bouncing on a blue background', seconds: '1', steps: 2 });
while (!['completed', 'failed'].includes(video.status)) {
  await new Promise(r => setTimeout(r, 200));
  video = await client.videos.retrieve(video.id);
}
assert.equal(video.status, 'completed');
const clip = Buffer.from(await (await client.videos.downloadContent(video.id)).arrayBuffer());
assert.equal(clip.subarray(4, 8).toString(), 'ftyp');
await assert.rejects(client.videos.retrieve('video_gone'), e => e.status === 404);
