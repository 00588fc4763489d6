// What Pulumi starts. Plain JavaScript, because the point is to say in words that this shell's Node cannot run the rest.
import process from "node:process";

// The SDK reads a stack at each of its promises, and maps its positions through source maps, which costs more than all else here. Ours need none:
// Node takes types out of a file without moving anything.
Error.prepareStackTrace = undefined;

const [major] = process.versions.node.split(".").map(Number);

export default async () => {
  if (major < 24) {
    const { RunError } = await import("@pulumi/pulumi");
    throw new RunError(
      `lmstack needs Node 24 or newer, this shell's \`node\` is ${process.version}: run \`npx lmstack up\`, or put the project's own first: export PATH="$PWD/node_modules/.bin:$PATH"`,
    );
  }
  const { deploy } = await import("./program.ts");
  return await deploy();
};
