/** Specs that must be refused, each with what the refusal has to say. `spec` ones need no host; `host` ones are found by looking at it. */
import type { Box, Spec } from "./box.ts";
import { thinker } from "./box.ts";

export interface WrongSpec {
  readonly name: string;
  readonly foundBy: "spec" | "host";
  readonly change: (spec: Spec, box: Box) => void;
  /** Each must appear in what `pulumi up` prints: the key's path or the host, what was found, what was expected. */
  readonly says: readonly RegExp[];
  /** Brings the host into the state that makes the spec wrong, and back. */
  readonly arrange?: (box: Box) => Promise<AsyncDisposable>;
}

const undo = (act: () => Promise<unknown>): AsyncDisposable => ({
  [Symbol.asyncDispose]: async () => {
    await act();
  },
});

const first = (spec: Spec) => spec.models[0];

export const wrongSpecs: readonly WrongSpec[] = [
  {
    name: "an unknown key",
    foundBy: "spec",
    change: (spec) => {
      spec.proxy.prot = 8080;
    },
    says: [/proxy\.prot/, /port/],
  },
  {
    name: "a wrong type",
    foundBy: "spec",
    change: (spec) => {
      spec.proxy.port = "eighty";
    },
    says: [/proxy\.port/, /eighty/, /number/i],
  },
  {
    name: "an unknown platform",
    foundBy: "spec",
    change: (spec) => {
      spec.platform = "linux-rocm";
    },
    says: [/platform/, /linux-rocm/, /linux-cuda/],
  },
  {
    name: "no connection",
    foundBy: "spec",
    change: (spec) => {
      delete spec.connection;
    },
    says: [/connection/],
  },
  {
    name: "no host key",
    foundBy: "spec",
    change: (spec) => {
      delete spec.connection.hostKey;
    },
    says: [/connection\.hostKey/, /ssh-keyscan/],
  },
  {
    name: "two models with one id",
    foundBy: "spec",
    change: (spec) => {
      spec.models[1].id = first(spec).id;
    },
    says: [/models[.[]1\]?\.id/, new RegExp(thinker)],
  },
  {
    name: "a URL without a digest",
    foundBy: "spec",
    change: (spec) => {
      first(spec).source = { url: "https://models.example/thinker.gguf" };
      delete first(spec).sha256;
    },
    says: [/models[.[]0\]?\.sha256/, /sha256sum|shasum/],
  },
  {
    name: "a digest that is none",
    foundBy: "spec",
    change: (spec) => {
      first(spec).sha256 = "abc";
    },
    says: [/models[.[]0\]?\.sha256/, /64/],
  },
  {
    name: "a relative GGUF path",
    foundBy: "spec",
    change: (spec) => {
      first(spec).source = { path: "../models/thinker.gguf" };
    },
    says: [/models[.[]0\]?\.source/, /\.\.\/models\/thinker\.gguf/, /absolute/],
  },
  {
    name: "a symlink across hosts",
    foundBy: "spec",
    change: (spec) => {
      first(spec).source = { path: "otherhost:/models/thinker.gguf" };
    },
    says: [/models[.[]0\]?\.source/, /otherhost/],
  },
  {
    name: "two sources at once",
    foundBy: "spec",
    change: (spec) => {
      first(spec).source = { path: "/models/a.gguf", url: "https://models.example/a.gguf" };
    },
    says: [/models[.[]0\]?\.source/],
  },
  {
    name: "an unknown import mode",
    foundBy: "spec",
    change: (spec) => {
      first(spec).import = "link";
    },
    says: [/models[.[]0\]?\.import/, /link/, /symlink/],
  },
  {
    name: "a context length of zero",
    foundBy: "spec",
    change: (spec) => {
      first(spec).load.contextLength = 0;
    },
    says: [/models[.[]0\]?\.load\.contextLength/],
  },
  {
    name: "the proxy on LM Studio's own port",
    foundBy: "spec",
    change: (spec) => {
      spec.proxy.port = 8081;
    },
    says: [/proxy\.port/, /8081/],
  },
  {
    name: "open to everybody without saying so",
    foundBy: "spec",
    change: (spec) => {
      spec.proxy.keys = [];
    },
    says: [/proxy/, /keys/, /allowAnonymous/],
  },
  {
    name: "a key without its secret",
    foundBy: "spec",
    change: (spec) => {
      spec.proxy.keys = ["team-a", "team-b"];
    },
    says: [/team-b/, /pulumi config set --secret/],
  },
  {
    name: "Docker on a Mac",
    foundBy: "spec",
    change: (spec) => {
      spec.platform = "macos-metal";
      spec.proxy.runtime = "docker";
    },
    says: [/proxy\.runtime/, /native/],
  },
  {
    name: "a CUDA engine on a host without a card",
    foundBy: "spec",
    change: (spec) => {
      spec.platform = "linux-cpu";
      spec.lmstudio.engine = { name: "llama.cpp-linux-x86_64-nvidia-cuda12", version: "2.25.2" };
    },
    says: [/lmstudio\.engine/, /linux-cpu/],
  },
  {
    name: "a model file that is not there",
    foundBy: "host",
    change: (spec) => {
      first(spec).source = { path: "/models/absent.gguf" };
    },
    says: [/models[.[]0\]?\.source/, /\/models\/absent\.gguf/, /wrong-specs|\d+\.\d+\.\d+\.\d+/],
  },
  {
    name: "a digest of another file",
    foundBy: "host",
    change: (spec) => {
      first(spec).sha256 = "0".repeat(64);
    },
    says: [/models[.[]0\]?\.sha256/, /0{64}/],
  },
  {
    name: "a file that is no GGUF",
    foundBy: "host",
    change: (spec) => {
      first(spec).source = { path: "/models/notes.gguf" };
      delete first(spec).sha256;
    },
    arrange: async ({ host }) => {
      await host.exec("echo 'a shopping list' > /models/notes.gguf");
      return undo(() => host.exec("rm /models/notes.gguf"));
    },
    says: [/\/models\/notes\.gguf/, /GGUF/, /\d+\.\d+\.\d+\.\d+/],
  },
  {
    name: "a port in use",
    foundBy: "host",
    change: () => {},
    arrange: async ({ host }) => {
      await host.exec(
        "nohup python3 -m http.server 8080 >/dev/null 2>&1 & echo $! > /tmp/squatter; until ss -Hltn | grep -q :8080; do sleep 0.1; done",
      );
      return undo(() => host.exec("kill $(cat /tmp/squatter); rm /tmp/squatter"));
    },
    says: [/proxy\.port/, /8080/, /in use|listen/],
  },
  {
    name: "a disk that is too small",
    foundBy: "host",
    change: (spec) => {
      first(spec).import = "copy";
      first(spec).source = { path: "/models/huge.gguf" };
      delete first(spec).sha256;
    },
    arrange: async ({ host }) => {
      // Sparse: as large as the disk is free, and it takes no room.
      await host.exec(`{ printf 'GGUF\\3\\0\\0\\0'; } > /models/huge.gguf && truncate -s 900G /models/huge.gguf`);
      return undo(() => host.exec("rm /models/huge.gguf"));
    },
    says: [/\d+\.\d+\.\d+\.\d+/, /free/i, /GiB|GB/],
  },
  {
    name: "a CUDA platform on a host without a card",
    foundBy: "host",
    change: () => {},
    arrange: async ({ host }) => {
      await host.exec("mv /usr/bin/nvidia-smi /root/hidden-nvidia-smi", { root: true });
      return undo(() => host.exec("mv /root/hidden-nvidia-smi /usr/bin/nvidia-smi", { root: true }));
    },
    says: [/platform/, /nvidia-smi/, /linux-cpu/],
  },
  {
    name: "another host key",
    foundBy: "host",
    change: (spec) => {
      spec.connection.hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDq3gPmXkU0q1VYw0b2vOj1gZ8t3y0m6k5C1d7o8m9aB";
    },
    says: [/connection\.hostKey/, /host key/i],
  },
  {
    name: "a host that does not answer",
    foundBy: "host",
    change: (spec) => {
      spec.connection.port = 2299;
    },
    says: [/2299/, /refuse|answer/i],
  },
  {
    name: "a user who may not log in",
    foundBy: "host",
    change: (spec) => {
      spec.connection.user = "nobody";
    },
    says: [/nobody/, /key|log ?in|denied/i],
  },
  {
    name: "no Docker on the host",
    foundBy: "host",
    change: () => {},
    arrange: async ({ host }) => {
      await host.exec("systemctl stop docker.service docker.socket", { root: true });
      return undo(() => host.exec("systemctl start docker.socket docker.service", { root: true }));
    },
    says: [/[Dd]ocker/, /host prepare/],
  },
];

/** Several faults in one spec: all of them are named in one go. */
export const manyFaults: WrongSpec = {
  name: "five faults at once",
  foundBy: "spec",
  change: (spec) => {
    spec.platform = "linux-rocm";
    spec.proxy.port = 70000;
    spec.proxy.runtiem = "docker";
    first(spec).sha256 = "abc";
    first(spec).import = "link";
  },
  says: [/platform/, /proxy\.port/, /runtiem/, /models[.[]0\]?\.sha256/, /models[.[]0\]?\.import/],
};
