/** `lms import`. */
import { existsSync } from "node:fs";
import { access, lstat, mkdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { assert, ran } from "./words.ts";

const source = "lms src/subcommands/importCmd.ts";
const own = "imports by itself: the same target and the same link or copy, under a staging name first";

/** A file that waits to be imported, and where it will lie. */
async function candidate(scratch: Scratch): Promise<{ file: string; target: string; repo: string }> {
  const file = join(scratch.userHome, "New.gguf");
  await writeFile(file, "GGUF");
  return { file, target: scratch.file("models", "local", "new", "New.gguf"), repo: "local/new" };
}

const lmsImport = (scratch: Scratch, file: string, ...flags: string[]) =>
  scratch.lms("import", file, "--user-repo", "local/new", ...flags);

export const importing: readonly Fact[] = [
  {
    id: "LMS-141",
    words: "`import --copy` puts the file at models/USER/REPO/NAME and says `File copied to`",
    source,
    lmstack: own,
    changes: async (scratch) => {
      const { file, target } = await candidate(scratch);
      ran(await lmsImport(scratch, file, "-c", "-y"), 0, { err: /File copied to/ });
      assert.deepEqual([existsSync(file), await readFile(target, "utf8")], [true, "GGUF"]);
    },
  },
  {
    id: "LMS-142",
    words: "`import --hard-link` makes a hard link and says `Hard link created at`",
    source,
    lmstack: own,
    changes: async (scratch) => {
      const { file, target } = await candidate(scratch);
      ran(await lmsImport(scratch, file, "-L", "-y"), 0, { err: /Hard link created at/ });
      assert.equal((await stat(file)).ino, (await stat(target)).ino);
    },
  },
  {
    id: "LMS-143",
    words: "`import --symbolic-link` makes a link and says `Symbolic link created at`",
    source,
    lmstack: own,
    changes: async (scratch) => {
      const { file, target } = await candidate(scratch);
      ran(await lmsImport(scratch, file, "-l", "-y"), 0, { err: /Symbolic link created at/ });
      assert.equal(await readlink(target), file);
    },
  },
  {
    id: "LMS-144",
    words: "the path of a symbolic link goes in as it was typed: a relative one dangles",
    source,
    lmstack: "links to absolute paths",
    changes: async (scratch) => {
      const { target } = await candidate(scratch);
      const script = `cd "${scratch.userHome}" && exec "${scratch.lmsProgram}" import New.gguf --user-repo local/new -l -y`;
      assert.equal((await scratch.run("/bin/sh", ["-c", script])).code, 0);
      assert.equal(await readlink(target), "New.gguf");
      await assert.rejects(access(target));
    },
  },
  {
    id: "LMS-145",
    words: "a dangling link at the target fails with the system's EEXIST: exit 1",
    source,
    lmstack: "replaces a link to nowhere",
    changes: async (scratch) => {
      const { file, target } = await candidate(scratch);
      await mkdir(join(target, ".."), { recursive: true });
      await symlink("/nowhere", target);
      ran(await lmsImport(scratch, file, "-l", "-y"), 1, { err: /EEXIST/ });
    },
  },
  {
    id: "LMS-146",
    words: "an existing target is refused: `Target file already exists: …`, exit 1",
    source,
    lmstack: "the same file there is fine, another one is a refusal",
    changes: async (scratch) => {
      const { file } = await candidate(scratch);
      await lmsImport(scratch, file, "-c", "-y");
      ran(await lmsImport(scratch, file, "-c", "-y"), 1, { err: /Target file already exists: / });
    },
  },
  {
    id: "LMS-147",
    words: "two of the three kinds together are refused: exit 1",
    source,
    lmstack: own,
    changes: async (scratch) => {
      const { file } = await candidate(scratch);
      ran(await lmsImport(scratch, file, "-c", "-l", "-y"), 1, {
        err: /Cannot specify more than one of --copy, --hard-link, or --symbolic-link/,
      });
    },
  },
  {
    id: "LMS-148",
    words: "`--user-repo` without a slash: `Must be user and repo separated by a slash.`, exit 1",
    source,
    lmstack: "publisher and repo are two words of the spec",
    changes: async (scratch) => {
      const { file } = await candidate(scratch);
      ran(await scratch.lms("import", file, "--user-repo", "local", "-c", "-y"), 1, {
        err: /Must be user and repo separated by a slash\./,
      });
    },
  },
  {
    id: "LMS-149",
    words: "a file that does not exist: `File does not exist`, exit 1",
    source,
    lmstack: "checks the source before anything",
    changes: async (scratch) =>
      ran(await lmsImport(scratch, join(scratch.userHome, "none.gguf"), "-c", "-y"), 1, { err: /File does not exist/ }),
  },
  {
    id: "LMS-150",
    words: "a folder is no file: `Path is not a file`, exit 1",
    source,
    lmstack: "links an MLX model's files one by one",
    changes: async (scratch) =>
      ran(await lmsImport(scratch, scratch.userHome, "-c", "-y"), 1, { err: /Path is not a file/ }),
  },
  {
    id: "LMS-151",
    words: "a move asks even with `-y`: `Warning about move suppressed by the --yes flag.`, then the question",
    source: `${source} (a bug)`,
    lmstack: own,
    changes: async (scratch) => {
      const { file, target } = await candidate(scratch);
      const { code, err } = await lmsImport(scratch, file, "-y");
      assert.equal(code, 1);
      assert.match(err, /Warning about move suppressed by the --yes flag\./);
      assert.deepEqual([existsSync(file), existsSync(target)], [true, false]);
    },
  },
  {
    id: "LMS-152",
    words: "with `importWillMoveWarned` in cli-pref.json a move asks no more, and says `File moved to`",
    source,
    lmstack: own,
    changes: async (scratch) => {
      const { file, target } = await candidate(scratch);
      await scratch.mergeJson(".internal/cli-pref.json", { importWillMoveWarned: true });
      ran(await lmsImport(scratch, file, "-y"), 0, { err: /File moved to/ });
      assert.deepEqual([existsSync(file), existsSync(target)], [false, true]);
    },
  },
  {
    id: "LMS-153",
    words: "`--dry-run` says `Would create a symbolic link at …` and does nothing",
    source,
    lmstack: "not used",
    changes: async (scratch) => {
      const { file, target } = await candidate(scratch);
      const { code, err } = await lmsImport(scratch, file, "-l", "--dry-run", "-y");
      assert.equal(code, 0);
      assert.match(err, /Would create a symbolic link at [\s\S]*But not actually doing it because of --dry-run/);
      await assert.rejects(lstat(target));
    },
  },
  {
    id: "LMS-154",
    words: "without settings.json the default folder is taken, with a warning",
    source,
    lmstack: "reads settings.json itself",
    changes: async (scratch) => {
      const { file, target } = await candidate(scratch);
      await rm(scratch.file("settings.json"), { force: true });
      ran(await lmsImport(scratch, file, "-c", "-y"), 0, {
        err: /Could not locate LM Studio configuration file, using default path: /,
      });
      assert.ok(existsSync(target));
    },
  },
  {
    id: "LMS-155",
    words: "`downloadsFolder` of settings.json is where models go",
    source,
    lmstack: "imports there",
    changes: async (scratch) => {
      const { file } = await candidate(scratch);
      const folder = join(scratch.userHome, "big disk");
      await scratch.mergeJson("settings.json", { downloadsFolder: folder });
      assert.equal((await lmsImport(scratch, file, "-c", "-y")).code, 0);
      assert.ok(existsSync(join(folder, "local", "new", "New.gguf")));
    },
  },
  {
    id: "LMS-156",
    words: "a settings.json without `downloadsFolder` makes `import` fail: exit 1",
    source,
    lmstack: "writes the key where it is missing",
    changes: async (scratch) => {
      const { file } = await candidate(scratch);
      await scratch.writeJson("settings.json", { useHFProxy: false });
      assert.equal((await lmsImport(scratch, file, "-c", "-y")).code, 1);
    },
  },
  {
    id: "LMS-157",
    words: "`import -y` without `--user-repo` asks huggingface.co, and fails where nobody answers",
    source,
    lmstack: "publisher and repo are declared",
    onlyStandIn: "it asks Hugging Face",
    changes: async (scratch) => {
      const { file } = await candidate(scratch);
      assert.equal((await scratch.lms("import", file, "-c", "-y")).code, 1);
    },
  },
  {
    id: "LMS-158",
    words: "a link whose file has gone is not listed by `ls`",
    source: "seen",
    lmstack: "the supervisor says that the model's file is gone, and which",
    changes: async (scratch) => {
      const { file } = await candidate(scratch);
      await lmsImport(scratch, file, "-l", "-y");
      await rm(file);
      assert.doesNotMatch((await scratch.lms("ls", "--json")).out, /New\.gguf/);
    },
  },
];
