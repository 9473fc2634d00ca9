// Shows a countdown of the key's TTL. The page also works without this script.
"use strict";

(() => {
  const view = document.querySelector("[data-live]");
  if (!view || !window.EventSource) return;

  const arc = document.getElementById("arc");
  const left = document.getElementById("left");
  const fields = document.querySelector("#fields tbody");
  const ended = document.getElementById("ended");
  const whole = Number(view.dataset.live) * 1000;
  let shown = whole;

  const draw = (milliseconds) => {
    // Only the countdown is animated, because a visit resets the TTL at once.
    view.classList.toggle("running", milliseconds < shown);
    shown = milliseconds;
    arc.setAttribute("stroke-dashoffset", 100 - Math.min(100, (milliseconds / whole) * 100));
    left.textContent = Math.ceil(milliseconds / 1000) + " s";
  };

  const fill = (hash) => {
    fields.replaceChildren(
      ...hash.map(([name, value]) => {
        const row = document.createElement("tr");
        const head = document.createElement("th");
        const cell = document.createElement("td");
        head.scope = "row";
        head.textContent = name;
        cell.textContent = value;
        row.append(head, cell);
        return row;
      }),
    );
  };

  // Screen readers read every change, so the same text must not be set again each second.
  const say = (text) => {
    if (ended.textContent !== text) ended.textContent = text;
  };

  const open = () => {
    const source = new EventSource("/events");

    source.addEventListener("look", (event) => {
      const look = JSON.parse(event.data);
      view.classList.remove("gone");
      say("");
      draw(look.ttl_ms);
      fill(look.fields);
    });

    source.addEventListener("gone", (event) => {
      draw(0);
      view.classList.add("gone");
      say(JSON.parse(event.data).text);
    });

    source.addEventListener("fault", (event) => {
      say(JSON.parse(event.data).text);
    });

    source.addEventListener("end", () => {
      document.removeEventListener("visibilitychange", look);
      source.close();
    });

    source.addEventListener("error", () => {
      const waits = source.readyState === EventSource.CONNECTING;
      say(
        waits
          ? "The server does not respond, so this page no longer shows the current TTL"
          : "The cookie is no longer valid, so you must log in again",
      );
    });

    return source;
  };

  // Browsers open at most six connections per host. If every tab kept a stream open, the seventh tab would never load.
  let source = null;
  const look = () => {
    source?.close();
    source = document.hidden ? null : open();
  };
  document.addEventListener("visibilitychange", look);
  look();
})();
