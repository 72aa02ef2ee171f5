// What single-file programs take from Next.js, as far as it means something in a page of its own.

import { Suspense, forwardRef, lazy } from 'react';

const router = {
  push: (to) => history.pushState(null, '', to),
  replace: (to) => history.replaceState(null, '', to),
  back: () => history.back(),
  forward: () => history.forward(),
  refresh: () => {},
  prefetch: () => {},
  pathname: '/',
  query: {},
  isReady: true,
  events: { on: () => {}, off: () => {} },
};

const Link = forwardRef(function Link({ href, replace, prefetch, scroll, shallow, passHref, legacyBehavior, children, ...rest }, ref) {
  const to = typeof href === 'object' ? href?.pathname : href;
  return <a ref={ref} href={to} {...rest}>{children}</a>;
});

const Image = forwardRef(function Image({ src, fill, priority, quality, placeholder, blurDataURL, loader, unoptimized, style, ...rest }, ref) {
  const filled = fill ? { position: 'absolute', inset: 0, width: '100%', height: '100%', ...style } : style;
  return <img ref={ref} src={src?.src ?? src} style={filled} {...rest} />;
});

const Nothing = () => null;

function dynamic(load, options) {
  const Part = lazy(async () => {
    const loaded = await (typeof load === 'function' ? load() : load.loader());
    return 'default' in Object(loaded) ? loaded : { default: loaded };
  });
  const Waiting = options?.loading ?? Nothing;
  return function Dynamic(props) {
    return <Suspense fallback={<Waiting />}><Part {...props} /></Suspense>;
  };
}

export { Link, Image, Nothing, dynamic };
export const useRouter = () => router;
export const usePathname = () => location.pathname;
export const useSearchParams = () => new URLSearchParams(location.search);
export const useParams = () => ({});
