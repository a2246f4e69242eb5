import { type CaseDraft, emptyCase, type FactDraft } from './facts.ts'

/** Cases to begin with, one for each thing that the law does. Their names are `law.examples.<id>`. */
type Example = Pick<CaseDraft, 'facts' | 'at'>

function missed(id: string, on: string, outcome = 'missed'): FactDraft {
  return { kind: 'roll_call', values: { id, on, outcome } }
}

const PROMPTED: FactDraft[] = [
  missed('c1', '2025-09-08'),
  missed('c2', '2025-09-15'),
  { kind: 'prompt_delivered', values: { prompt: 'misses', at: '2025-09-15T15:00' } },
]

export const EXAMPLES: Record<string, Example> = {
  expiry: { facts: PROMPTED, at: ['2025-09-15T15:00', '2025-09-23T00:00'] },
  cumulative: {
    facts: [
      missed('c1', '2025-09-08'),
      missed('c2', '2025-09-15', 'present'),
      missed('c3', '2025-09-22'),
      missed('c4', '2025-09-29', 'present'),
      missed('c5', '2025-10-13'),
      missed('c6', '2025-10-20', 'present'),
      missed('c7', '2025-10-27'),
    ],
    at: ['2025-10-20T12:00', '2025-10-27T12:00'],
  },
  dismissal: {
    facts: [
      ...PROMPTED,
      {
        kind: 'decision',
        values: {
          id: 'd1',
          prompt: 'misses',
          at: '2025-09-17T10:00',
          outcome: 'dismiss',
          reasons: '',
          found_reason: 'illness',
        },
      },
      { kind: 'acknowledgement', values: { decision: 'd1', at: '2025-09-18T10:00', accepted: true } },
    ],
    at: ['2025-09-17T12:00', '2025-09-18T12:00'],
  },
  leave: {
    facts: [
      {
        kind: 'leave',
        values: {
          id: 'l1',
          filed: '2025-09-10T09:00',
          approved: '2025-09-10T10:00',
          from: '2025-09-15T00:00',
          to: '2025-10-05T00:00',
        },
      },
    ],
    at: ['2025-09-25T12:00', '2025-10-05T12:00'],
  },
  absence: {
    facts: [
      { kind: 'attendance', values: { id: 'n1', at: '2025-09-10T10:00', present: false } },
      { kind: 'attendance', values: { id: 'n2', at: '2025-10-10T10:00', present: false } },
    ],
    at: ['2025-10-10T12:00', '2025-12-15T12:00'],
  },
  appeal: {
    facts: [
      ...PROMPTED,
      { kind: 'aid', values: { id: 'g1', kind: 'grant', term: '2025-autumn', approved: '2025-09-05T09:00' } },
      {
        kind: 'payment',
        values: { id: 'm1', aid: 'g1', month: '2025-09', paid: '2025-09-20T10:00', fen: '23000' },
      },
      {
        kind: 'appeal',
        values: {
          id: 'p1',
          filed: '2025-09-24T09:00',
          change: 'latest',
          decided: '2025-10-15T10:00',
          upheld: true,
        },
      },
    ],
    at: ['2025-09-23T00:00', '2025-10-15T12:00'],
  },
}

/** An example as a draft with a name. */
export function loadExample(id: string, name: string): CaseDraft {
  const { facts, at } = structuredClone(EXAMPLES[id] ?? { facts: [], at: [''] })
  return { ...emptyCase(), name, facts, at }
}
