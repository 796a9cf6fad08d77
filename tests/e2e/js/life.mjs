// The life of a function, through the AWS SDK for JavaScript as applications use it.

import assert from "node:assert/strict";
import {
  CreateFunctionCommand,
  DeleteFunctionCommand,
  GetFunctionCommand,
  InvokeCommand,
  InvokeWithResponseStreamCommand,
  InvalidParameterValueException,
  LambdaClient,
  LambdaServiceException,
  ListTagsCommand,
  ResourceConflictException,
  ResourceNotFoundException,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateFunctionCodeCommand,
  UpdateFunctionConfigurationCommand,
  paginateListFunctions,
  waitUntilFunctionActiveV2,
  waitUntilFunctionUpdatedV2,
} from "@aws-sdk/client-lambda";

const { RUNTIME, ROLE } = process.env;
const { first, second } = JSON.parse(process.argv[2]);
const client = new LambdaClient({ maxAttempts: 1 });
const patience = { client, maxWaitTime: 60, minDelay: 0.01, maxDelay: 0.05 };
const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (base64) => Buffer.from(base64, "base64");

const create = (FunctionName) =>
  client.send(
    new CreateFunctionCommand({
      FunctionName,
      Runtime: RUNTIME,
      Role: ROLE,
      Handler: "app.handler",
      Code: { ZipFile: bytes(first) },
      Tags: { team: "tea" },
    }),
  );

const created = await create("f");
assert.equal(created.State, "Pending");
await waitUntilFunctionActiveV2(patience, { FunctionName: "f" });

const invoked = await client.send(
  new InvokeCommand({ FunctionName: "f", Payload: JSON.stringify({ name: "tea ☕" }), LogType: "Tail" }),
);
assert.equal(invoked.StatusCode, 200);
assert.equal(invoked.ExecutedVersion, "$LATEST");
assert.equal(invoked.FunctionError, undefined);
assert.deepEqual(JSON.parse(text(invoked.Payload)).event, { name: "tea ☕" });
const log = text(bytes(invoked.LogResult));
assert.match(log, new RegExp(`^START RequestId: ${invoked.$metadata.requestId} `));
assert.match(log, /got {'name': 'tea ☕'}/);

// Every error is an instance of its own class.
const refusal = async (command) => {
  try {
    await client.send(command);
  } catch (error) {
    assert.ok(error instanceof LambdaServiceException, String(error));
    assert.equal(error.$metadata.attempts, 1);
    return error;
  }
  throw new Error(`${command.constructor.name} went through`);
};
const unknown = await refusal(new GetFunctionCommand({ FunctionName: "nobody" }));
assert.ok(unknown instanceof ResourceNotFoundException);
assert.equal(unknown.$metadata.httpStatusCode, 404);
assert.equal(unknown.message, `Function not found: ${created.FunctionArn.replace(/f$/, "nobody")}`);
const twice = await create("f").catch((error) => error);
assert.ok(twice instanceof ResourceConflictException);
assert.equal(twice.message, "Function already exist: f");
const wrong = await refusal(
  new UpdateFunctionConfigurationCommand({ FunctionName: "f", Environment: { Variables: { AWS_REGION: "x" } } }),
);
assert.ok(wrong instanceof InvalidParameterValueException);
const broken = await refusal(new UpdateFunctionConfigurationCommand({ FunctionName: "f", Timeout: 901 }));
assert.equal(broken.name, "ValidationException");

await client.send(
  new UpdateFunctionConfigurationCommand({ FunctionName: "f", Environment: { Variables: { EDITION: "two" } } }),
);
await waitUntilFunctionUpdatedV2(patience, { FunctionName: "f" });
const configured = await client.send(new InvokeCommand({ FunctionName: "f" }));
assert.equal(JSON.parse(text(configured.Payload)).edition, "two");

await client.send(new UpdateFunctionCodeCommand({ FunctionName: "f", ZipFile: bytes(second) }));
await waitUntilFunctionUpdatedV2(patience, { FunctionName: "f" });
const failed = await client.send(new InvokeCommand({ FunctionName: "f" }));
assert.equal(failed.FunctionError, "Unhandled");
assert.equal(JSON.parse(text(failed.Payload)).errorType, "KeyError");

const names = ["a", "b", "c", "d"];
for (const name of names) await create(name);
const found = [];
for await (const page of paginateListFunctions({ client, pageSize: 2 }, {})) {
  assert.ok(page.Functions.length <= 2);
  found.push(...page.Functions.map((item) => item.FunctionName));
}
assert.deepEqual(found, [...names, "f"]);

const Resource = created.FunctionArn;
await client.send(new TagResourceCommand({ Resource, Tags: { stage: "test", größe: "ü" } }));
await client.send(new UntagResourceCommand({ Resource, TagKeys: ["team", "stage"] }));
assert.deepEqual((await client.send(new ListTagsCommand({ Resource }))).Tags, { größe: "ü" });

const location = (await client.send(new GetFunctionCommand({ FunctionName: "f" }))).Code.Location;
assert.deepEqual(Buffer.from(await (await fetch(location)).arrayBuffer()), bytes(second));

const streamed = new InvokeWithResponseStreamCommand({ FunctionName: "a", Payload: "{}" });
await waitUntilFunctionActiveV2(patience, { FunctionName: "a" });
const reply = await client.send(streamed);
let payload = "";
let completed = 0;
for await (const event of reply.EventStream) {
  if (event.PayloadChunk) payload += text(event.PayloadChunk.Payload);
  if (event.InvokeComplete) completed += 1;
}
assert.deepEqual(JSON.parse(payload).event, {});
assert.equal(completed, 1);

for (const FunctionName of [...names, "f"]) {
  await client.send(new DeleteFunctionCommand({ FunctionName }));
}
const gone = await refusal(new InvokeCommand({ FunctionName: "f" }));
assert.ok(gone instanceof ResourceNotFoundException);
client.destroy();
console.log("done");
