// Writes a brotli and a gzip file next to each text file of a build, so that the server compresses nothing itself.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const TEXT = /\.(?:css|html|js|json|svg|txt|wasm|webmanifest)$/
const SMALLEST = 1024

const [directory] = process.argv.slice(2)
for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  if (!entry.isFile() || !TEXT.test(path)) continue
  const content = readFileSync(path)
  if (content.length < SMALLEST) continue
  const brotli = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }
  writeFileSync(`${path}.br`, brotliCompressSync(content, brotli))
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }))
}
