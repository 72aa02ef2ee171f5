// Names and forms shared by the page's parts.

export const ENVIRONMENTS = {
  auto: "Auto", react: "React", vue: "Vue", core_web: "Core Web", gradio: "Gradio", streamlit: "Streamlit", pygame: "PyGame",
  mermaid: "Mermaid", interpreter: "Interpreter",
};
export const MODES = {
  battle: ["Anonymous battle", "Two hidden models. Names are shown after your vote, which counts for the ranking."],
  named: ["Side by side", "Two models that you choose, names in sight."],
  direct: ["Direct chat", "One model, no vote."],
};
export const WINNERS = { a: "A is better", b: "B is better", tie: "Tie", both_bad: "Both bad" };
export const ASPECTS = { correctness: "Correctness", efficiency: "Efficiency", explainability: "Explainability", maintainability: "Maintainability", ui_ux_design: "UI and UX design" };
export const LANGUAGES = { python: "Python", javascript: "JavaScript", typescript: "TypeScript", html: "HTML", c: "C", "c++": "C++", java: "Java", go: "Go", rust: "Rust", markdown: "Markdown" };
export const title = (name) => ENVIRONMENTS[name] ?? LANGUAGES[name] ?? name;

export const seconds = (value) => (value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`);
const whole = new Intl.NumberFormat("en");
export const count = (value) => whole.format(value);
export const many = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;
