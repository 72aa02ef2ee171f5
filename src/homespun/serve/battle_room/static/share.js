// Sharing a round: a link that restores it, and a picture of it.

import { byId, dialogue, el, say } from "./dom.js";

export function share(state) {
  const address = new URL(`/s/${state.id}`, location.href).href;
  const picture = `/api/sessions/${encodeURIComponent(state.id)}/picture.png?v=${state.last_event}`;
  const link = el("input", { id: "link", readonly: true, value: address, onfocus: (event) => event.target.select() });
  const image = el("img", { class: "card-picture", src: picture, alt: "The round as a picture: the prompt and what both sides made", width: 600, height: 400 });
  const note = el("p", { class: "quiet", role: "status" }, state.vote || state.mode !== "battle" ? "The link shows the round as it is, names included." : "The link shows the round without names; they stay hidden until you have voted.");
  const copyLink = el("button", { type: "button", class: "primary", onclick: () => tell(copyLink, navigator.clipboard.writeText(address)) }, "Copy link");
  const copyPicture = el("button", { type: "button", onclick: () => tell(copyPicture, copy(picture)) }, "Copy picture");
  image.addEventListener("error", () => image.replaceWith(el("p", { class: "empty" }, "The picture could not be made; the link works all the same.")));
  dialogue(
    byId("share-dialog"), "Share this round",
    el("label", { for: "link", class: "over" }, "Permanent link"), el("div", { class: "row" }, link, copyLink), note,
    image, el("div", { class: "row" }, el("a", { class: "button", href: picture, download: `arena-${state.id}.png` }, "Download picture"), copyPicture),
  );
  link.focus();
}

async function copy(address) {
  const blob = fetch(address, { credentials: "same-origin" }).then((response) => (response.ok ? response.blob() : Promise.reject(new Error("no picture"))));
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
}

async function tell(button, doing) {
  const words = button.textContent;
  const done = await doing.then(() => true, () => false);
  button.textContent = done ? "Copied" : "Not allowed here";
  say(button.textContent);
  setTimeout(() => { button.textContent = words; }, 1800);
}
