"""Vue programs in each of the forms that models give them."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("web")]

SETUP = """<script setup lang="ts">
import { ref, computed } from 'vue'
const count = ref<number>(1)
const double = computed((): number => count.value * 2)
const colour = 'rgb(1, 2, 3)'
</script>

<template>
  <main class="p-4"><button class="go" @click="count++">{{ count }} {{ double }}</button></main>
</template>

<style scoped>
.go { color: v-bind(colour); &:hover { opacity: 1 } }
</style>
"""


def test_script_setup_with_types_scoped_styles_and_tailwind(run, look):
    page = look(run("vue", "App.vue", SETUP))
    page.get_by_role("button").click()
    expect(page.get_by_role("button")).to_have_text("2 4")
    expect(page.get_by_role("button")).to_have_css("color", "rgb(1, 2, 3)")
    expect(page.locator("main")).to_have_css("padding", "16px")
    assert page.failures == []
    assert page.strangers == []


@pytest.mark.parametrize(
    ("name", "code", "shown"),
    [
        ("App.vue", "<template><p>{{ text }}</p></template>\n"
         "<script>\nexport default { data() { return { text: 'options' } } }\n</script>",
         "options"),
        ("App.vue", "<template>\n<p :class=\"$style.big\">alone</p>\n</template>\n"
         "<style module>\n.big { color: red }\n</style>", "alone"),
        ("main.js", "export default { data() { return { n: 5 } }, template: '<p>n is {{ n }}</p>' }", "n is 5"),
        ("main.ts", "import { createApp, ref } from 'vue';\nconst n: number = 6;\n"
         "createApp({ setup: () => ({ r: ref(n) }), template: `<p>r is {{ r }}</p>` }).mount('#place')", "r is 6"),
        ("main.js", "const { createApp } = Vue;\n"
         "createApp({ data() { return { a: 1 } }, template: '<p>global {{ a }}</p>' }).mount('#app')",
         "global 1"),
        ("App.vue", "<script setup>\nimport { defineStore } from 'pinia'\nimport { useRoute } from 'vue-router'\n"
         "const store = defineStore('s', { state: () => ({ n: 8 }) })()\nconst route = useRoute()\n</script>\n"
         "<template>\n<p>{{ store.n }} {{ route.path }}</p>\n</template>", "8 /"),
    ],
    ids=["options", "template alone", "template string", "mounts itself", "globals", "pinia and router"],
)  # fmt: skip
def test_every_form_of_a_component_is_shown(run, look, name, code, shown):
    page = look(run("vue", name, code))
    expect(page.locator("p")).to_have_text(shown)
    assert page.failures == []


@pytest.mark.parametrize(
    ("code", "start"),
    [
        (SETUP.replace("count++", "count +"), "App.vue:9:"),
        (SETUP.replace("ref<number>(1)", "ref<number>(1"), "App.vue:4:"),
        (SETUP.replace("</main>", ""), "App.vue:9:"),
        (SETUP.replace("'vue'", "'no-such-vue'"), 'App.vue:2:31: Could not resolve "no-such-vue"'),
        (SETUP.replace("<style scoped>", '<style lang="scss">\n$red: #f00;'), "App.vue: styles in scss are not"),
        (SETUP.replace("<template>", '<template lang="pug">'), "App.vue: templates in pug are not supported"),
    ],
    ids=["expression", "script", "element", "package", "scss", "pug"],
)  # fmt: skip
def test_a_broken_component_fails_at_its_own_line(run, code, start):
    ran = run("vue", "App.vue", code)
    assert (ran.status, ran.app) == ("failed", None)
    assert ran.stderr.startswith(start)


def test_scss_that_is_plain_css_is_read_as_such(run, look):
    ran = run("vue", "App.vue", SETUP.replace("<style scoped>", '<style scoped lang="scss">'))
    expect(look(ran).get_by_role("button")).to_have_css("color", "rgb(1, 2, 3)")
    assert 'style lang="scss"' in ran.notes


def test_an_error_at_run_time_reaches_the_page(run, look):
    code = "import { createApp } from 'vue'; createApp({ template: '<p>{{ no.such }}</p>' }).mount('#app')"
    page = look(run("vue", "main.js", code))
    expect(page.locator("homespun-fault")).to_have_count(1)
    assert page.failures
    assert "such" in page.failures[0]
