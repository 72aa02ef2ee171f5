// Draws the diagram, then lets it be moved (drag, arrow keys), magnified (wheel, + and -) and fitted (0).
(() => {
  const stage = document.getElementById('stage');
  const drawing = document.getElementById('drawing');
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let view = { x: 0, y: 0, scale: 1 };
  let source = '';
  let round = 0;

  const place = () => {
    drawing.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  };

  const fit = () => {
    const svg = drawing.querySelector('svg');
    if (!svg) return;
    const { clientWidth, clientHeight } = stage;
    const { width, height } = svg.viewBox.baseVal;
    if (!(width > 0 && height > 0)) return;
    svg.setAttribute('width', width);
    svg.setAttribute('height', height);
    const scale = Math.min(2, (clientWidth - 48) / width, (clientHeight - 48) / height);
    view = { scale, x: (clientWidth - width * scale) / 2, y: (clientHeight - height * scale) / 2 };
    place();
  };

  const magnify = (factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
    const scale = Math.min(20, Math.max(0.05, view.scale * factor));
    const ratio = scale / view.scale;
    view = { scale, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio };
    place();
  };

  const move = (x, y) => {
    view = { ...view, x: view.x + x, y: view.y + y };
    place();
  };

  const draw = async () => {
    mermaid.initialize({ startOnLoad: false, securityLevel: 'strict', theme: dark.matches ? 'dark' : 'default', suppressErrorRendering: true });
    const { svg } = await mermaid.render(`diagram${++round}`, source);
    drawing.innerHTML = svg;
    fit();
  };

  stage.addEventListener('wheel', (event) => {
    event.preventDefault();
    magnify(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
  }, { passive: false });
  stage.addEventListener('pointerdown', (event) => stage.setPointerCapture(event.pointerId));
  stage.addEventListener('pointermove', (event) => {
    if (stage.hasPointerCapture(event.pointerId)) move(event.movementX, event.movementY);
  });
  stage.addEventListener('dblclick', (event) => magnify(1.6, event.clientX, event.clientY));
  addEventListener('keydown', (event) => {
    const keys = { '+': () => magnify(1.25), '=': () => magnify(1.25), '-': () => magnify(0.8), 0: fit, ArrowLeft: () => move(40, 0), ArrowRight: () => move(-40, 0), ArrowUp: () => move(0, 40), ArrowDown: () => move(0, -40) };
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.getElementById('in').onclick = () => magnify(1.25);
  document.getElementById('out').onclick = () => magnify(0.8);
  document.getElementById('fit').onclick = fit;
  addEventListener('resize', fit);

  const failed = (error) => reportError(error instanceof Error ? error : new Error(String(error?.message ?? error)));
  dark.addEventListener('change', () => draw().catch(failed));
  fetch('diagram.mmd').then((answer) => answer.text()).then((text) => {
    source = text;
    return draw();
  }).catch(failed);
})();
