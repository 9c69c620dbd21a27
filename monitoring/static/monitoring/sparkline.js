// A small line below a figure: where it came from. Drawn as SVG, silent for screen readers (the figure speaks).

const NS = "http://www.w3.org/2000/svg";
const WIDE = 120;
const HIGH = 28;

/** Draw `values` (oldest first, null for unknown) into an <svg data-nu-spark>; zero is its floor */
export function spark(svg, values) {
  const known = (values ?? []).map((value) => (Number.isFinite(value) ? value : null));
  const top = Math.max(1e-9, ...known.filter((value) => value !== null));
  const step = known.length > 1 ? WIDE / (known.length - 1) : WIDE;
  let line = "";
  let pen = "M";
  known.forEach((value, at) => {
    if (value === null) {
      pen = "M";
      return;
    }
    line += `${pen}${(at * step).toFixed(1)} ${(HIGH - 1 - (value / top) * (HIGH - 3)).toFixed(1)}`;
    pen = "L";
  });
  if (svg.dataset.line === line) return;
  svg.dataset.line = line;
  svg.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
  svg.setAttribute("preserveAspectRatio", "none");
  let area = svg.querySelector(".nu-area");
  let path = svg.querySelector(".nu-line");
  if (!path) {
    area = svg.appendChild(document.createElementNS(NS, "path"));
    area.setAttribute("class", "nu-area");
    path = svg.appendChild(document.createElementNS(NS, "path"));
    path.setAttribute("class", "nu-line");
  }
  path.setAttribute("d", line);
  const whole = known.length > 1 && !known.includes(null);
  area.setAttribute("d", whole ? `${line}L${WIDE} ${HIGH}L0 ${HIGH}Z` : "");
}
