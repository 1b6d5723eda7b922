// What an application with OpenAI's JavaScript client does; prints what it got as one JSON object.
const OpenAI = require("openai");

const client = new OpenAI({ baseURL: process.argv[2], apiKey: process.argv[3], maxRetries: 0 });
const messages = [{ role: "user", content: "Name a colour." }];
const schema = {
  type: "object",
  properties: { colour: { type: "string", enum: ["red", "blue"] } },
  required: ["colour"],
  additionalProperties: false,
};

async function streamed() {
  const stream = await client.chat.completions.create({
    model: "small", messages, stream: true, stream_options: { include_usage: true },
  });
  let text = "", usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text, usage };
}

async function refused(work) {
  try {
    await work;
  } catch (error) {
    return { status: error.status, code: error.code, name: error.constructor.name };
  }
}

(async () => {
  const whole = await client.chat.completions.create({ model: "auto", messages });
  const promised = await client.chat.completions.create({
    model: "auto", messages, response_format: { type: "json_schema", json_schema: { name: "c", strict: true, schema } },
  });
  const called = await client.chat.completions.create({
    model: "auto", messages, tools: [{ type: "function", function: { name: "paint", parameters: schema } }],
  });
  console.log(JSON.stringify({
    models: (await client.models.list()).data.map((model) => model.id),
    whole: whole.choices[0].message.content,
    receipt: whole.receipt,
    responded: (await client.responses.create({ model: "auto", input: "Name a colour." })).output_text,
    streamed: await streamed(),
    promised: JSON.parse(promised.choices[0].message.content),
    called: called.choices[0].message.tool_calls[0].function,
    unknown: await refused(client.chat.completions.create({ model: "no-such-model", messages })),
    stranger: await refused(new OpenAI({ baseURL: process.argv[2], apiKey: "x", maxRetries: 0 }).models.list()),
  }));
})();
