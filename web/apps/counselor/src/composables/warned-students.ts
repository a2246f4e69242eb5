import { useQuery } from '@tanstack/vue-query'

import { useSession } from '../stores/session.ts'
import { readAll } from './pages.ts'

/** Students of the own classes with a current warning: near a limit, or absent. */
export function useWarnedStudents() {
  const { api } = useSession()
  return useQuery({
    queryKey: ['warned-students'],
    queryFn: ({ signal }) =>
      readAll((cursor) =>
        api.GET('/v1/student-warnings', {
          params: { query: { limit: 100, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
  })
}
