// Loads project files one after the other, as bin/child.mjs does, and prints what came of each as a line of JSON.
// Arguments: folders. One process for many files, because starting one costs half a second.
import { register } from "tsx/esm/api";

register({ tsconfig: false });
const { loadCompiled } = await import("./compiled.ts");
const { findProject } = await import("./load.ts");
const { toPlainError } = await import("./processes/messages.ts");
for (const folder of process.argv.slice(2)) {
  process.chdir(folder);
  try {
    const { project } = await loadCompiled(findProject(undefined));
    console.log(JSON.stringify({ name: project.name }));
  } catch (error) {
    console.log(JSON.stringify({ error: toPlainError(error) }));
  }
}
