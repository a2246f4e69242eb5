import { readAll, useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed } from 'vue'

/** The students of the own classes (of a registrar: the first ones of the school), and their names by id. */
export function useStudents() {
  const session = useSession()
  const query = useQuery({
    queryKey: ['students'],
    queryFn: ({ signal }) =>
      readAll((cursor) =>
        session.api.GET('/v1/students', {
          params: { query: { limit: 100, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
    enabled: () => session.isSignedIn,
    staleTime: 300_000,
  })
  const byId = computed(() => new Map((query.data.value ?? []).map((each) => [each.id, each])))
  return { ...query, byId }
}
