/** The licences of the packages that went into the bundle, as a file beside it. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";

import type { Plugin } from "vite";

const FILE = "THIRD_PARTY.txt";
const MARK = `${sep}node_modules${sep}`;

interface Package {
  name: string;
  version: string;
  license?: string;
}

/** Make the plug-in that writes `THIRD_PARTY.txt`. */
export function licences(): Plugin {
  return {
    name: "third-party-licences",
    generateBundle(_options, bundle) {
      const folders = new Set<string>();
      for (const part of Object.values(bundle)) {
        if (part.type !== "chunk") continue;
        for (const id of Object.keys(part.modules)) {
          const folder = packageFolder(id);
          if (folder !== null) folders.add(folder);
        }
      }
      const texts = [...folders].map(notice).sort();
      this.emitFile({ type: "asset", fileName: FILE, source: texts.join(`\n${"-".repeat(78)}\n\n`) });
    },
  };
}

/** Folder of the package that a module belongs to; null for a module of ours. */
export function packageFolder(id: string): string | null {
  const path = id.replace(/^\0/, "").replace(/[?#].*$/, "");
  const start = path.lastIndexOf(MARK);
  if (start < 0) return null;
  const names = path.slice(start + MARK.length).split(sep);
  return path.slice(0, start) + MARK + names.slice(0, names[0].startsWith("@") ? 2 : 1).join(sep);
}

function notice(folder: string): string {
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Package;
  const file = readdirSync(folder)
    .sort()
    .find((name) => /^(licen[cs]e|copying)/i.test(name));
  const text = file === undefined || !existsSync(join(folder, file)) ? "" : readFileSync(join(folder, file), "utf8");
  return `${about.name} ${about.version}: ${about.license ?? "see below"}\n\n${text.replace(/\r\n/g, "\n").trim()}\n`;
}
