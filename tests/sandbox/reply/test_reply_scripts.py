"""React, Vue or neither; JavaScript or TypeScript; page or component: the borders of each rule."""

import pytest

from homespun.sandbox.reply.compiled import is_diagram
from homespun.sandbox.reply.markup import is_component, is_page
from homespun.sandbox.reply.script_source import read_script


@pytest.mark.parametrize(
    ("code", "environment"),
    [
        ("export default { data() { return 1 } }", "interpreter"),
        ("export default { data() { return {} }, methods: {} }", "vue"),
        ("export default { data: () => ({}), computed: {} }", "vue"),
        ("export default { data: {}, computed: {} }", "interpreter"),
        ("export default { name: 'plugin', setup(build) { build.run() } }", "interpreter"),
        ("export default { template: '<p v-if=\"x\">' }", "vue"),
        ("render({ template: '<p v-if=\"x\">' })", "interpreter"),
        ("createApp({ port: 80 })", "interpreter"),
        ("createApp({ data() {}, methods: {} })", "vue"),
        ("new Vue({ el: '#a' })", "vue"),
        ("class Vue {}\nnew Vue({ el: '#a' })", "interpreter"),
        ("const React = { version: 1 };\nconsole.log(React.version)", "interpreter"),
        ("React.createElement('p')", "react"),
        ("import { h } from 'vue'\nexport default () => <p/>", "vue"),
        ("const a = <p v-if={x}/>", "vue"),
        ("import x from 'react-dom/client'", "react"),
        ("import x from 'reactive'", "interpreter"),
        ("import x from '@vue/reactivity'", "vue"),
        ("a < b; c > d", "interpreter"),
    ],
)
def test_environment_of_a_script(code: str, environment: str) -> None:
    assert read_script(code).environment[0] == environment


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("f<number>(0)", "typescript"),
        ("if (a < b && c > (d)) f()", "javascript"),
        ("const t = 'Map<string>(x)'", "javascript"),
        ("let a: string", "typescript"),
        ("import fs = require('fs')", "typescript"),
        ("const a = {x: 1}", "javascript"),
        ("let a = b!", "typescript"),
    ],
)
def test_language_of_a_script(code: str, language: str) -> None:
    assert read_script(code).language == language


def test_imports_in_every_form() -> None:
    code = (
        "import a from 'a'; import 'b'; export * from 'c'; require('d'); import('e'); import(`f`);"
        "import(`g${x}`); // import 'h'\nconst s = \"import 'i'\"; require(j); x.require('k')"
    )
    assert read_script(code).imports == list("abcdef")


@pytest.mark.parametrize(
    ("code", "page", "component"),
    [
        ("<!-- x -->\n<!DOCTYPE html>", True, False),
        ("const a = '<!DOCTYPE html>'", False, False),
        ("<svg viewBox='0 0 1 1'>", True, False),
        ("<svgs>", False, False),
        ("<script setup>\n</script>", False, True),
        ("<script>\nexport default {}\n</script>", False, True),
        ("<script type='module'>\nexport default {}\n</script>", False, False),
        ("<template>\n<p/>\n</template>", False, True),
        ('<template id="x">\n</template>', False, False),
        ("<script>\nalert(1)\n</script>", False, False),
    ],
)
def test_pages_and_components(code: str, page: bool, component: bool) -> None:
    assert (is_page(code), is_component(code)) == (page, component)


@pytest.mark.parametrize(
    ("code", "diagram"),
    [
        ("graph TD\nA-->B", True),
        ("graph theory is\nfun", False),
        ("---\ntitle: x\n---\n%% note\npie\n'a': 1", True),
        ("timeline of events\nit is long", False),
        ("pie is a dish", False),
        ("%%{init: {\n}}%%\nmindmap\n  a", True),
        ("", False),
    ],
)
def test_diagrams(code: str, diagram: bool) -> None:
    assert is_diagram(code) is diagram
