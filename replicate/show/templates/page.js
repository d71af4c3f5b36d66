/* Buttons that copy a text, and claims that open when a link leads to them. */
(() => {
"use strict";

const texts = JSON.parse(document.getElementById("page-texts").textContent);

for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = texts["js.copied"];
    } catch {
      // Not allowed: select the text, so that one key copies it.
      getSelection().selectAllChildren(source);
      button.textContent = texts["js.selected"];
    }
  });
}

/** Opens what the address names, and what it lies in. */
function open() {
  const id = decodeURIComponent(location.hash.slice(1));
  for (let e = id && document.getElementById(id); e; e = e.parentElement) {
    if (e.tagName === "DETAILS") e.open = true;
  }
}
addEventListener("hashchange", open);
open();
addEventListener("beforeprint", () => {
  for (const e of document.querySelectorAll("details.claim, details.more")) e.open = true;
});
})();
