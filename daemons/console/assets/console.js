// Keeps the main part of the page as the server renders it. Without this script, or while the
// stream is away, the page is what it was when it was loaded, and says of which moment that is.
"use strict";
(() => {
  const main = document.getElementById("main");
  // A page that stays as it is.
  if (!main.dataset.live) return;
  const told = document.getElementById("told");
  const asOf = document.getElementById("as-of");
  const asOfText = document.getElementById("as-of-text");
  const asOfTime = document.getElementById("as-of-time");
  const SILENCE_MS = 7000;
  let heard = Date.now();

  // Brings `old` to what `fresh` is, and leaves alone what is the same: focus, selection, scrolling.
  function follow(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    followChildren(old, [...fresh.childNodes]);
  }

  function followChildren(old, fresh) {
    const ids = new Set(fresh.map((node) => node.id).filter(Boolean));
    for (const gone of [...old.children].filter((child) => child.id && !ids.has(child.id))) {
      // With the line end before it, so that what follows keeps its place.
      if (gone.previousSibling?.nodeType === Node.TEXT_NODE) gone.previousSibling.remove();
      gone.remove();
    }
    const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    let at = old.firstChild;
    for (const next of fresh) {
      const known = next.nodeType === Node.ELEMENT_NODE && next.id ? named.get(next.id) : undefined;
      if (known) {
        if (known === at) at = at.nextSibling;
        else old.insertBefore(known, at);
        follow(known, next);
      } else if (at && !at.id) {
        const rest = at.nextSibling;
        follow(at, next);
        at = rest;
      } else {
        old.insertBefore(next, at);
      }
    }
    while (at) {
      const rest = at.nextSibling;
      at.remove();
      at = rest;
    }
  }

  function show(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html").querySelector(".page");
    follow(main.querySelector(".page"), document.importNode(fresh, true));
    const { title, told: sentence } = main.querySelector(".page").dataset;
    document.title = `${title} · Backline`;
    if (told.dataset.last !== sentence) {
      told.dataset.last = sentence;
      told.textContent = sentence;
    }
  }

  function state(name) {
    asOf.dataset.state = name;
    asOfText.textContent = { live: "Live, as of", still: "Last known, as of", lost: "No contact, as of" }[name];
  }

  told.dataset.last = main.querySelector(".page").dataset.told;
  const stream = new EventSource(main.dataset.live);
  stream.addEventListener("main", (event) => {
    heard = Date.now();
    show(event.data);
  });
  stream.addEventListener("as-of", (event) => {
    heard = Date.now();
    // A moment that stands still: the console answers, and what it shows is from before.
    state(asOfTime.dateTime === event.data ? "still" : "live");
    asOfTime.dateTime = event.data;
    asOfTime.textContent = `${event.data.slice(11, 19)} UTC`;
  });
  stream.addEventListener("error", () => {
    state("lost");
    // The browser gives up after an answer that is no stream, such as "too many"; a page should not.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 10000);
  });
  setInterval(() => {
    if (Date.now() - heard > SILENCE_MS) state("lost");
  }, 1000);
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
})();
