import { svelte } from '@sveltejs/vite-plugin-svelte'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { precompress } from './scripts/precompress.ts'

const source = (folder: string) => fileURLToPath(new URL(`./src/${folder}`, import.meta.url))

// The Host header stays the browser's own, because the server refuses orders from other origins.
const server = { target: process.env.MILLRACE_SERVER ?? 'http://127.0.0.1:8080', changeOrigin: false }
const proxy = { '/api': server, '/query': server }

export default defineConfig({
  plugins: [svelte(), precompress()],
  resolve: { alias: { $lib: source('lib'), $components: source('components'), $messages: source('messages') } },
  build: {
    target: 'es2022',
    // `light-dark()` and `oklch()` are left as they are written: these browsers know them.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // A data: address would need a weaker content security policy.
    assetsInlineLimit: 0,
    // What most pages use comes in one file, not in thirty small ones.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'kit', test: /\/src\/(components|lib)\/(?!map\/|editor\/|uplot)|node_modules\/svelte\//, minShareCount: 4 }] } } },
    // MapLibre is one module of a megabyte, loaded by the one page that has a map.
    chunkSizeWarningLimit: 1200,
  },
  server: { proxy },
  preview: { proxy },
})
