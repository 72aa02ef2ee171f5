// Errors that nobody caught, shown in the page; a page that stays empty says so. First script of every page.
(() => {
  const seen = new Map();
  let strip = null;

  const MEDIA = 'canvas, svg, img, video, audio, iframe, input, button, textarea, select, object, embed, table, hr, progress, meter';

  /** Whether an element paints something itself: pictures made of boxes are pictures. */
  const painted = (element) => {
    if (element.shadowRoot) return true;
    const style = getComputedStyle(element);
    const { width, height } = element.getBoundingClientRect();
    const coloured = !/^(transparent|rgba\(.*, 0\))$/.test(style.backgroundColor) || style.backgroundImage !== 'none';
    return (coloured && width * height > 0) || parseFloat(style.borderTopWidth) > 0 || style.boxShadow !== 'none';
  };

  const empty = () => {
    const body = document.body;
    if (!body) return true;
    if (body.innerText.trim() || body.querySelector(MEDIA) || getComputedStyle(body).backgroundImage !== 'none') return false;
    return ![...body.querySelectorAll('*')].slice(0, 500).some(painted);
  };

  const text = (error) => {
    if (error instanceof Error) return `${error.name}: ${error.message}`;
    try {
      return String(error);
    } catch {
      return 'an error that cannot be shown';
    }
  };

  const show = (message, detail) => {
    if (!document.body) {
      document.addEventListener('DOMContentLoaded', () => show(message, detail), { once: true });
      return;
    }
    const key = message.slice(0, 500);
    seen.set(key, (seen.get(key) ?? 0) + 1);
    if (seen.size > 20) return;
    if (!strip?.host.isConnected) {
      const host = document.createElement('homespun-fault');
      strip = { host, root: host.attachShadow({ mode: 'closed' }) };
      document.documentElement.append(host);
    }
    draw(detail);
  };

  const draw = (detail) => {
    const large = empty();
    strip.root.innerHTML = `<style>
      div { position: fixed; z-index: 2147483647; box-sizing: border-box; font: 13px/1.5 ui-monospace, monospace; color: #7f1d1d; background: #fef2f2; border: 1px solid #fca5a5; border-radius: 8px; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
      .large { inset: 16px 16px auto 16px; padding: 16px 20px; max-height: 80vh; }
      .small { left: 8px; bottom: 8px; max-width: min(560px, 90vw); max-height: 30vh; padding: 6px 30px 6px 10px; opacity: .95; }
      button { position: absolute; top: 2px; right: 4px; font: inherit; color: inherit; background: none; border: 0; cursor: pointer; }
      b { display: block; }
      @media (prefers-color-scheme: dark) { div { color: #fecaca; background: #2b0f0f; border-color: #7f1d1d; } }
    </style><div role="alert"><b></b><span></span><button aria-label="Close">×</button></div>`;
    const [box, title, body, close] = ['div', 'b', 'span', 'button'].map((name) => strip.root.querySelector(name));
    box.className = large ? 'large' : 'small';
    title.textContent = large ? 'The page is empty' : 'The program reported an error';
    const lines = [...seen].map(([message, times]) => (times > 1 ? `${message} (${times} times)` : message));
    body.textContent = lines.join('\n') + (large && detail ? `\n\n${detail}` : '');
    close.onclick = () => strip.host.remove();
  };

  const stack = (error) =>
    String(error?.stack ?? '').split('\n').filter((line) => /^\s*at /.test(line)).slice(0, 6).join('\n').replaceAll(location.origin, '');

  addEventListener('error', (event) => {
    if (event.target instanceof Element || /^ResizeObserver loop/.test(event.message)) return;
    show(event.error ? text(event.error) : event.message, stack(event.error));
  }, true);
  addEventListener('unhandledrejection', (event) => {
    const reason = event.reason;
    setTimeout(() => empty() && show(`Unhandled rejection: ${text(reason)}`, stack(reason)), 300);
  });
  addEventListener('load', () => setTimeout(() => {
    if (empty() && !seen.size) show('The program ran without an error and drew nothing.', '');
  }, 4000));
})();
