// The official Node client, unchanged: prints one JSON object with what it saw. The tests judge it.
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const messages = [{ role: "user", content: "hello there" }];
const tool = (name) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: {} } },
});
const tools = [tool("weather"), tool("time")];
const seen = {};

const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
seen.chat = data.choices[0].message.content;
seen.usage = data.usage.completion_tokens;
seen.headers = Object.fromEntries([...response.headers].filter(([name]) => name.startsWith("x-homespun-")));

seen.stream = "";
const options = { include_usage: true };
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true, stream_options: options })) {
  seen.stream += chunk.choices[0]?.delta?.content ?? "";
  if (chunk.usage) seen.streamUsage = chunk.usage.completion_tokens;
}

const called = await client.chat.completions.create({ model, messages, tools });
seen.tools = called.choices[0].message.tool_calls.map((call) => [call.function.name, call.function.arguments]);
const final = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
seen.streamedTools = final.choices[0].message.tool_calls.map((call) => [call.function.name, call.function.arguments]);

const format = { type: "json_schema", json_schema: { name: "weather", schema: { type: "object" } } };
const parsed = await client.chat.completions.parse({ model, messages, response_format: format });
seen.parsed = parsed.choices[0].message.content;

seen.embedding = (await client.embeddings.create({ model: "embedder", input: "a", encoding_format: "float" })).data[0].embedding;
seen.models = (await client.models.list()).data.map((one) => one.id);

const failure = async (call) => {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error.status ?? null, error.code ?? null];
  }
  return null;
};
seen.wrongKey = await failure(() => new OpenAI({ baseURL, apiKey: "hs-wrong", maxRetries: 0 }).models.list());
seen.noModel = await failure(() => client.chat.completions.create({ model: "nope", messages }));
seen.badRequest = await failure(() => client.chat.completions.create({ model, messages: [] }));
seen.cut = await failure(async () => {
  const turns = [{ role: "user", content: "cut this off please" }];
  for await (const _ of await client.chat.completions.create({ model: "stub", messages: turns, stream: true }));
});
console.log(JSON.stringify(seen));
