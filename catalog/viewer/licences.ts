/** The licences of the packages that went into the bundle, as a file beside it. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";

import type { Plugin } from "vite";

const FILE = "THIRD_PARTY.txt";
/** The project's own licence is the same. */
const APACHE = new URL("../../LICENSE", import.meta.url);
const MARK = `${sep}node_modules${sep}`;

interface Package {
  name: string;
  version: string;
  license?: string;
  main?: string;
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

/**
 * What has to be said of a package.
 *
 * @throws Error: nothing tells the terms that it may be passed on by
 */
export function notice(folder: string): string {
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Package;
  const file = readdirSync(folder)
    .sort()
    .find((name) => /^(licen[cs]e|copying)/i.test(name));
  const text = file === undefined || !existsSync(join(folder, file)) ? "" : readFileSync(join(folder, file), "utf8");
  const terms = text.replace(/\r\n/g, "\n").trim() || standardTerms(folder, about);
  return `${about.name} ${about.version}: ${about.license ?? "see below"}\n\n${terms}\n`;
}

/** The terms of a package that only names them; its program says whose it is. */
function standardTerms(folder: string, { name, version, license, main }: Package): string {
  const program = main === undefined ? "" : readFileSync(join(folder, main), "utf8");
  const owner = /Copyright[^\n*]+/.exec(program)?.[0].trim();
  if (license !== "Apache-2.0" || owner === undefined) throw new Error(`${name} ${version} has no licence text`);
  return `${owner}\n\n${readFileSync(APACHE, "utf8").trim()}`;
}
