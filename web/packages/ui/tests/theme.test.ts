import { describe, expect, it } from 'vitest'

import css from '../src/theme.css?raw'

const token = (name: string) => new RegExp(`--${name}: (#[0-9a-f]{6});`).exec(css)?.[1] ?? ''

function luminance(colour: string): number {
  const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
  const [r = 0, g = 0, b = 0] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}

const TEXTS = [
  'dm-text',
  'dm-text-muted',
  'dm-primary',
  'dm-success',
  'dm-warning',
  'dm-danger',
  'van-gray-5',
]
const GROUNDS = ['dm-background', 'dm-surface']

describe('colours have enough contrast (WCAG 2.2, 1.4.3)', () => {
  it.each(TEXTS.flatMap((text) => GROUNDS.map((ground) => [text, ground])))('%s on %s', (text, ground) => {
    expect(contrast(token(text), token(ground))).toBeGreaterThanOrEqual(4.5)
  })

  it('text on a primary button', () => {
    expect(contrast(token('dm-on-primary'), token('dm-primary'))).toBeGreaterThanOrEqual(4.5)
  })

  it('text on a disabled button', () => {
    expect(contrast(token('dm-text-muted'), token('dm-disabled'))).toBeGreaterThanOrEqual(4.5)
  })
})
