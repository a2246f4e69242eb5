import { content } from '@dianming/api'
import { readAll, useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed } from 'vue'

import { missingYears, today } from './missing-years.ts'

/** The terms that apply to the own unit, the years of the calendar, and the years that are missing. */
export function useCalendar() {
  const { api } = useSession()
  const terms = useQuery({
    queryKey: ['terms'],
    queryFn: () =>
      readAll((cursor) =>
        api.GET('/v1/terms', { params: { query: { limit: 200, ...(cursor && { cursor }) } } }),
      ),
  })
  const calendar = useQuery({
    queryKey: ['calendar-years'],
    queryFn: ({ signal }) => content(api.GET('/v1/calendar-years', { signal })),
  })
  const missing = computed(() =>
    calendar.data.value ? missingYears(calendar.data.value.years, terms.data.value ?? [], today()) : [],
  )
  return { terms, calendar, missing }
}
