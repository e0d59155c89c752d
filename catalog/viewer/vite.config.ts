import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

import { licences } from "./licences.ts";

export default defineConfig({
  // Relative addresses, so that the page works below any path of any host.
  base: "./",
  plugins: [licences()],
  build: {
    outDir: fileURLToPath(new URL("../../betaearth/viewer", import.meta.url)),
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: { polyfill: false },
    // The budget is of the whole bundle, which a test holds; a warning of one file says nothing.
    chunkSizeWarningLimit: 1500,
    // Names follow content: two builds give the same bytes, and a page never meets parts of another version.
    rolldownOptions: {
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    // One worker: the machine is shared, and the files take a second.
    maxWorkers: 1,
    testTimeout: 15_000,
  },
});
