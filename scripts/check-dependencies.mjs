// Dependencies between packages point one way: a package may import those before it in this list, and nothing else.
// Native and heavy dependencies live only in the package that needs them.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Package, and what of the workspace its product code may import. Tests may import testkit too. */
const allowed = {
  "@weir/contract": [],
  "@weir/log": ["@weir/contract"],
  "@weir/collect": ["@weir/contract", "@weir/log"],
  "@weir/capture": ["@weir/contract", "@weir/log", "@weir/collect"],
  "@weir/compile": ["@weir/contract"],
  "@weir/govern": ["@weir/contract", "@weir/log"],
  "@weir/engine": ["@weir/contract", "@weir/log", "@weir/compile"],
  weir: [
    "@weir/contract",
    "@weir/log",
    "@weir/collect",
    "@weir/capture",
    "@weir/compile",
    "@weir/engine",
    "@weir/govern",
  ],
  "@weir/testkit": [
    "@weir/contract",
    "@weir/log",
    "@weir/compile",
    "@weir/collect",
    "@weir/capture",
    "@weir/engine",
  ],
};

/** Modules that only one package may import. */
const onlyIn = { "@duckdb/node-api": "@weir/engine", ajv: "@weir/contract", commander: "weir" };

/** Packages whose product code touches neither files, network, processes nor clocks. */
const pure = new Set(["@weir/contract", "@weir/compile"]);
const io = /^node:(fs|net|http|https|child_process|worker_threads|cluster|dgram|os|timers)/;

const problems = [];

function* sources(directory) {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (name === "node_modules") continue;
    if (statSync(path).isDirectory()) yield* sources(path);
    else if (/\.(ts|mts|mjs)$/.test(name)) yield path;
  }
}

const isTest = (path) => /\.(test|long\.test|fixture|bench|test-d)\.ts$/.test(path);
const packageOf = (specifier) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

for (const folder of readdirSync("packages")) {
  const root = join("packages", folder);
  const {
    name,
    dependencies = {},
    devDependencies = {},
  } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const may = allowed[name];
  if (may === undefined) {
    problems.push(`${root}: package ${name} is not in the list of scripts/check-dependencies.mjs`);
    continue;
  }
  for (const path of sources(join(root, "src"))) {
    const product = !isTest(path) && name !== "@weir/testkit";
    const code = readFileSync(path, "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
    const specifiers = [
      ...code.matchAll(
        /(?:^|\n)\s*(?:import|export)\b[^;]*?from\s+"([^"]+)"|import\("([^"]+)"\)|(?:^|\n)import\s+"([^"]+)"/g,
      ),
    ];
    for (const match of specifiers) {
      const specifier = match[1] ?? match[2] ?? match[3];
      if (specifier.startsWith(".")) {
        if (/^(\.\.\/)+(packages|contract|log|collect|compile|engine|weir|testkit)\//.test(specifier)) {
          problems.push(`${path}: reaches into another package by path: ${specifier}`);
        }
        continue;
      }
      const target = packageOf(specifier);
      if (target === name) continue;
      const workspace = target in allowed;
      if (workspace && product && !may.includes(target))
        problems.push(`${path}: ${name} must not import ${target}`);
      const entry = specifier.startsWith("@weir/capture/") && name === "weir";
      if (workspace && specifier !== target && !entry)
        problems.push(`${path}: imports ${specifier}; only ${target} is public`);
      if (product && pure.has(name) && io.test(specifier))
        problems.push(`${path}: ${name} does no I/O, but imports ${specifier}`);
      const owner = onlyIn[target];
      if (product && owner !== undefined && owner !== name)
        problems.push(`${path}: only ${owner} may import ${target}`);
      const declared = product ? dependencies : { ...dependencies, ...devDependencies };
      const known =
        specifier.startsWith("node:") || target in declared || (!product && isTestTool(target, workspace));
      if (!known) problems.push(`${path}: ${target} is not among the dependencies of ${name}`);
    }
  }
}

/** What tests of every package may use: the root's development dependencies and the workspace itself. */
function isTestTool(target, workspace) {
  const { devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
  return workspace || target in devDependencies || target in onlyIn;
}

for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? "Dependencies point one way." : `${problems.length} problems.`);
process.exitCode = problems.length === 0 ? 0 : 1;
