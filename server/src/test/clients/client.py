"""What OpenAI's Python client does with the server, or it fails."""
import base64
import sys

from openai import BadRequestError, NotFoundError, OpenAI

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)

assert "carousel-sora" in [m.id for m in client.models.list()]

one = client.embeddings.create(model="clip", input=["a dog", "two cats"])  # asks for base64 by itself
plain = client.embeddings.create(model="clip", input="a dog", encoding_format="float")
assert len(one.data) == 2 and abs(one.data[0].embedding[0] - plain.data[0].embedding[0]) < 1e-5

image = client.images.generate(model="carousel-sora", prompt="a red car on a green background", size="64x64", extra_body={"steps": 2, "seed": 3})
png = base64.b64decode(image.data[0].b64_json)
assert png[:4] == b"\x89PNG"
edited = client.images.edit(model="carousel-sora", image=("car.png", png, "image/png"), prompt="a red car on a blue background", extra_body={"steps": 2})
assert base64.b64decode(edited.data[0].b64_json)[:4] == b"\x89PNG"

messages = [{"role": "user", "content": [
    {"type": "text", "text": "What is it?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(png).decode()}}]}]
whole = client.chat.completions.create(model="chat", messages=messages, max_tokens=6, temperature=0)
stream = client.chat.completions.create(model="chat", messages=messages, max_tokens=6, temperature=0, stream=True, stream_options={"include_usage": True})
text, usage = "", None
for chunk in stream:
    usage = chunk.usage or usage
    text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
assert text.strip() == whole.choices[0].message.content and usage.completion_tokens == whole.usage.completion_tokens == 6

video = client.videos.create_and_poll(model="carousel-sora", prompt="a fox bouncing on a blue background", seconds="1", size="64x64", extra_body={"steps": 2}, poll_interval_ms=200)
assert video.status == "completed" and video.progress == 100, video
assert client.videos.download_content(video.id).read()[4:8] == b"ftyp"
started = client.videos.create(model="carousel-sora", prompt="a red car on a green background", input_reference=("car.png", png, "image/png"), extra_body={"steps": 1})
remixed = client.videos.remix(started.id, prompt="a fox bouncing on a blue background")
assert remixed.remixed_from_video_id == started.id
assert video.id in [v.id for v in client.videos.list()]
client.videos.delete(video.id)

for call, kind in [(lambda: client.videos.retrieve(video.id), NotFoundError),
                   (lambda: client.chat.completions.create(model="gone", messages=messages), NotFoundError),
                   (lambda: client.images.generate(model="carousel-sora", prompt="a fox", size="1024x1024"), BadRequestError)]:
    try:
        call()
        raise SystemExit("not refused")
    except kind as e:
        assert e.body["message"], e
