// Make one piece of a page what another one is, so that what is the same stays: focus, selection, opened details.

const KEEP = new Set(["open"]); // what a person did to an element

function sameKind(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && old.dataset?.key === fresh.dataset?.key;
}

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !KEEP.has(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value && !KEEP.has(name)) old.setAttribute(name, value);
}

/** Children of `old` become those of `fresh`, in place; what has a data-key is found again by it */
export function morph(old, fresh) {
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    let found = at && sameKind(at, next) ? at : null;
    if (!found && next.dataset?.key) {
      found = [...old.children].find((one) => one.dataset.key === next.dataset.key && one.nodeName === next.nodeName) ?? null;
    }
    if (!found) {
      old.insertBefore(next, at);
      continue;
    }
    if (found !== at) old.insertBefore(found, at);
    else at = at.nextSibling;
    if (found.nodeType === Node.TEXT_NODE) {
      if (found.data !== next.data) found.data = next.data;
    } else if (found.nodeType === Node.ELEMENT_NODE) {
      attributes(found, next);
      if (!("nuSince" in found.dataset)) morph(found, next); // its text is the clock's
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}
