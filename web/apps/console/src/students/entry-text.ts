import { useBilingual, useTimes } from '@dianming/staff'
import { useI18n } from 'vue-i18n'

import { useChangeKinds } from '../changes/kinds.ts'
import type { TimelineEntry } from './timeline.ts'

/** What a record is about, in one line. */
export function useEntryText() {
  const { t } = useI18n()
  const { say } = useBilingual()
  const { period } = useTimes()
  const { nameOf } = useChangeKinds()

  type Status = Extract<TimelineEntry, { kind: 'standing' }>['before']
  const status = (of: Status) =>
    `${t(`standing.${of.standing}`)}（${t(`students.studyForm.${of.study_form}`)}）`

  function partsOf(entry: TimelineEntry): (string | null | undefined | false)[] {
    switch (entry.kind) {
      case 'roll_call':
        return [
          entry.title,
          t(`kind.${entry.roll_call_kind}`),
          entry.voided ? t('students.voided') : entry.outcome && t(`board.outcome.${entry.outcome}`),
        ]
      case 'prompt':
        return [say(entry.prompt_kind), say(entry.proposed), say(entry.state)]
      case 'statement':
        return [entry.text, entry.by_guardian && t('prompts.byGuardian')]
      case 'standing':
        return [
          entry.change_kind && nameOf(entry.change_kind),
          `${status(entry.before)} → ${status(entry.after)}`,
          t(`students.cause.${entry.cause}`),
          entry.reversed && t('students.reversed'),
        ]
      case 'change_request':
        return [nameOf(entry.change_kind), t(`changes.states.${entry.state}`)]
      case 'aid_application':
        return [
          t(`students.aidKind.${entry.aid_kind}`),
          entry.term_code,
          t(`students.applicationState.${entry.state}`),
        ]
      case 'aid_payment':
        return [
          t(`students.aidKind.${entry.aid_kind}`),
          entry.month.slice(0, 7),
          t('students.paidOn', { day: entry.paid_on }),
        ]
      case 'aid_filing':
        return [
          t(`students.filingKind.${entry.filing_kind}`),
          entry.term_code,
          t(`students.filingState.${entry.state}`),
        ]
      case 'appeal':
        return [
          t(`appeals.targets.${entry.target}`),
          t(`appeals.appellants.${entry.appellant}`),
          entry.deciding_unit,
          t(`appeals.states.${entry.state}`),
        ]
      case 'leave':
        return [
          t(`students.leaveKind.${entry.leave_kind}`),
          period(entry.starts_at, entry.ends_at),
          entry.text,
          t(`students.leaveState.${entry.state}`),
        ]
      case 'attendance':
        return [t(entry.present ? 'students.present' : 'students.absent'), entry.note]
      case 'claim':
        return [entry.roll_call_title, entry.text, t(`students.claimState.${entry.state}`)]
      case 'picture_view':
        return [entry.unit, entry.person, say(entry.purpose)]
    }
  }

  function textOf(entry: TimelineEntry): string {
    return partsOf(entry).filter(Boolean).join(' · ')
  }

  return { textOf }
}
