// Reads an AsyncAPI document with AsyncAPI's own parser; an error or a warning ends it with 1.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const WARNING = 1; // 0 is an error, 2 and 3 are advice
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const faults = diagnostics.filter((each) => each.severity <= WARNING);
for (const each of faults) console.error(`${each.path.join("/")}: ${each.message}`);
process.exit(document && faults.length === 0 ? 0 : 1);
